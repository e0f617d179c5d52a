//! An operator who has nothing but the command line finds the order that is stuck, sees why, and mends it.

use std::time::Duration;

use makegood_contracts::{id::CheckoutId, reply::Outcome};
use makegood_tests::{Api, As, Placed, System, until};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(30);
/// After the pivot, so its refusal needs a person.
const STEP: &str = "commit_stock";

#[tokio::test]
async fn an_operator_finds_the_stuck_order_sees_why_and_mends_it() {
    let system = System::start().await;
    system.api.sell("LAMP", "12.00", 10).await.expect("on sale");
    let other = system.api.place_order(&[("LAMP", 1)]).await.expect("accepted");
    assert_eq!(system.api.wait_until_ended(&other.checkout, WITHIN).await, "completed");
    let placed = parked_order(&system).await;

    let saga = finds(&system, &placed).await;
    sees_why(&system, &placed, &saga).await;
    is_told_what_cannot_be(&system, &saga).await;
    holds_it_and_lets_it_go_on(&system, &placed, &saga).await;
    retries_all_that_match(&system, &saga).await;
    mends(&system, &placed, &saga).await;
    system.finish().await;
}

/// An order whose buyer has paid and whose stock cannot be committed.
async fn parked_order(system: &System) -> Placed {
    let cart = system.api.cart(&[("LAMP", 1)]).await.expect("a cart");
    let placed = system.api.check_out(&Api::open_checkout_of(&cart)).await.expect("accepted");
    let refusal = Outcome::refused("depot_closed", "the depot is closed");
    sqlx::query("insert into barrier (saga_id, step, direction, outcome) values ($1, $2, 'do', $3)")
        .bind(uuid(&placed))
        .bind(STEP)
        .bind(Json(refusal))
        .execute(&mut system.database("inventory").await)
        .await
        .expect("the refusal is written");
    let confirm = format!("/v1/checkouts/{}/confirm", placed.checkout);
    let answer =
        system.api.post(&confirm, As::Buyer, &json!({"payment_method": "pm_card_visa"})).await.expect("answers");
    assert!(answer.status.is_success(), "{answer:?}");
    placed
}

fn uuid(placed: &Placed) -> Uuid {
    placed.checkout.parse::<CheckoutId>().expect("a checkout's id").uuid()
}

async fn finds(system: &System, placed: &Placed) -> String {
    let found = until("the order is listed as parked", WITHIN, async || {
        let listed = system.saga(&["ls", "--state", "parked", "-o", "json"]).await;
        assert_eq!(listed.exit_code, Some(0), "{listed:?}");
        listed.json_lines().pop()
    })
    .await;
    assert_eq!((&found["reference"], &found["step"]), (&json!(placed.order), &json!(STEP)));
    let id = found["id"].as_str().expect("an id").to_owned();
    let table = system.saga(&["ls"]).await;
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "a header and two sagas: {table:?}");
    assert!(lines[1].starts_with(&id) && lines[1].contains("the depot is closed"), "{table:?}");
    assert!(lines[2].contains("completed"), "{table:?}");
    id
}

async fn sees_why(system: &System, placed: &Placed, saga: &str) {
    let shown = system.saga(&["show", &placed.order]).await;
    for part in [
        "parked at commit_stock",
        "depot_closed: the depot is closed",
        "capture_payment is done",
        "→ commit_stock: inventory.commit_stock",
        &format!("makegood saga retry {saga} --reason"),
    ] {
        assert!(shown.stdout.contains(part), "{part} in {shown:?}");
    }
    assert!(!shown.stdout.contains("saga compensate"), "the pivot is passed: {shown:?}");
    assert!(!shown.stdout.contains('\u{1b}'), "no colour where there is no terminal: {shown:?}");
    let json = system.saga(&["show", saga, "-o", "json"]).await.json();
    assert_eq!((&json["state"], &json["id"]), (&json!("parked"), &json!(saga)));
}

async fn is_told_what_cannot_be(system: &System, saga: &str) {
    let without_reason = system.saga(&["retry", saga]).await;
    assert_eq!(without_reason.exit_code, Some(2), "{without_reason:?}");
    let impossible = system.saga(&["compensate", saga, "--reason", "no"]).await;
    assert_eq!(impossible.exit_code, Some(1), "{impossible:?}");
    assert!(impossible.stderr.contains("pivot") && impossible.stderr.contains("Nothing was done"), "{impossible:?}");
    let unknown = system.saga(&["show", "ord_00000000000000000000000000000000"]).await;
    assert_eq!(unknown.exit_code, Some(1), "{unknown:?}");
    let unconfirmed = system.saga(&["bulk", "retry", "--state", "parked", "--reason", "all"]).await;
    assert_eq!(unconfirmed.exit_code, Some(2), "{unconfirmed:?}");
    assert!(unconfirmed.stderr.contains("--yes"), "{unconfirmed:?}");
}

async fn holds_it_and_lets_it_go_on(system: &System, placed: &Placed, saga: &str) {
    let paused = system.saga(&["pause", &placed.order, "--reason", "the depot is asked"]).await;
    assert_eq!(paused.exit_code, Some(0), "{paused:?}");
    let held = system.saga(&["ls", "--state", "paused", "-o", "json"]).await.json_lines();
    assert_eq!(held.len(), 1, "{held:?}");
    let resumed = system.saga(&["resume", saga, "--reason", "the depot has answered", "-o", "json"]).await;
    assert_eq!((resumed.exit_code, &resumed.json()["state"]), (Some(0), &json!("parked")), "{resumed:?}");
}

/// While the cause is not mended: they park again.
async fn retries_all_that_match(system: &System, saga: &str) {
    let filter = ["--state", "parked", "--step", STEP, "--reason", "try all"];
    let counted = system.saga(&[&["bulk", "retry"][..], &filter, &["--dry-run", "-o", "json"]].concat()).await;
    assert_eq!((counted.exit_code, &counted.json()["matches"]), (Some(0), &json!(1)), "{counted:?}");
    let done = system.saga(&[&["bulk", "retry"][..], &filter, &["--yes", "-o", "json"]].concat()).await;
    let operation = done.json();
    assert_eq!(
        (done.exit_code, &operation["state"], &operation["done"]),
        (Some(0), &json!("done"), &json!(1)),
        "{done:?}"
    );

    let bulk = operation["id"].as_str().expect("an id");
    let audit = system.saga(&["audit", "--bulk", bulk, "-o", "json"]).await.json_lines();
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!((&audit[0]["saga"], &audit[0]["reason"]), (&json!(saga), &json!("try all")));
    let table = system.saga(&["audit", "--saga", saga]).await;
    for action in ["retry", "resume", "pause"] {
        assert!(table.stdout.contains(action), "{action} in {table:?}");
    }
    until("it has parked again", WITHIN, async || {
        let shown = system.saga(&["show", saga, "-o", "json"]).await.json();
        (shown["state"] == "parked").then_some(())
    })
    .await;
}

/// Once the cause is mended: one command, while another one follows the saga to its end.
async fn mends(system: &System, placed: &Placed, saga: &str) {
    sqlx::query("delete from barrier where saga_id = $1 and step = $2")
        .bind(uuid(placed))
        .bind(STEP)
        .execute(&mut system.database("inventory").await)
        .await
        .expect("the refusal is taken away");
    let retry = ["retry", saga, "--reason", "the depot is open", "-o", "json"];
    let tail = ["tail", &placed.order, "-o", "json"];
    let (retried, followed) = tokio::join!(system.saga(&retry), system.saga(&tail));
    assert_eq!((retried.exit_code, followed.exit_code), (Some(0), Some(0)), "{retried:?}, {followed:?}");
    assert_eq!(retried.json()["id"], saga);
    let events: Vec<Value> = followed.json_lines().into_iter().map(|entry| entry["event"]["event"].clone()).collect();
    assert_eq!(events.first(), Some(&json!("started")));
    assert!(events.contains(&json!("retried")), "{events:?}");
    assert_eq!(system.api.wait_until_ended(&placed.checkout, WITHIN).await, "completed");
}
