//! P3: whatever an order is parked or held at, an operator mends it over HTTP, alone or with many others, and it ends as if
//! nothing had been.

use std::time::Duration;

use futures::future::join_all;
use makegood_contracts::{id::CheckoutId, reply::Outcome};
use makegood_tests::{Api, As, Placed, Stock, System, until};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(30);
const UNITS: i64 = 100;
/// Orders whose undoing is parked, to be mended at once.
const MANY: usize = 20;

#[tokio::test]
async fn operators_mend_orders_one_by_one_and_many_at_once() {
    let system = System::start().await;
    system.api.sell("VASE", "30.00", UNITS).await.expect("on sale");
    hold_one_back(&system).await;
    go_on_without_a_step(&system).await;
    call_off_what_is_parked(&system).await;
    confirm_with_nothing(&system).await;
    retry_many(&system).await;
    assert_eq!(system.stock("VASE").await, Stock { on_hand: UNITS - 2, bound: 0 });
    system.finish().await;
}

/// A paused order takes its buyer's confirmation in, and is paid when it is resumed.
async fn hold_one_back(system: &System) {
    let placed = open(system).await;
    until("the buyer is waited for", WITHIN, async || (state(system, &placed).await == "waiting").then_some(())).await;
    assert_eq!(operate(system, &placed, "pause", json!({})).await["state"], "paused");
    confirm(system, &placed).await;
    until("the confirmation is taken in", WITHIN, async || {
        let saga = saga(system, &placed).await;
        saga["context"].get("confirmation").is_some().then_some(())
    })
    .await;
    assert_eq!(state(system, &placed).await, "paused");
    assert!(system.api.charges(&placed.order).await.expect("the provider's books").is_empty());
    operate(system, &placed, "resume", json!({})).await;
    assert_eq!(system.api.wait_until_ended(&placed.checkout, WITHIN).await, "completed");
}

/// The shop sends the parcel by hand, so its planning can be left out.
async fn go_on_without_a_step(system: &System) {
    let placed = open(system).await;
    answer(system, "fulfillment", &placed, "create_shipments", "do", &Outcome::defect("no such address")).await;
    confirm(system, &placed).await;
    wait_until_parked(system, &placed, "create_shipments").await;
    operate(system, &placed, "skip", json!({"step": "create_shipments", "output": {"shipment_ids": []}})).await;
    assert_eq!(system.api.wait_until_ended(&placed.checkout, WITHIN).await, "completed");
    let path = format!("/v1/admin/audit?saga={}", placed.checkout);
    let audit = system.api.get(&path, As::Operator).await.expect("answers");
    assert_eq!((audit.text_at("/data/0/action"), audit.text_at("/data/0/reason")), ("skip", "a drill"));
}

/// A step that is parked before the pivot has no outcome to wait for: it is undone with everything before it.
async fn call_off_what_is_parked(system: &System) {
    let placed = open(system).await;
    answer(system, "fulfillment", &placed, "create_shipments", "do", &Outcome::defect("no such carrier")).await;
    confirm(system, &placed).await;
    wait_until_parked(system, &placed, "create_shipments").await;
    operate(system, &placed, "cancel", json!({})).await;
    assert_ne!(system.api.wait_until_ended(&placed.checkout, WITHIN).await, "completed");
    until("everything is undone", WITHIN, async || (state(system, &placed).await == "compensated").then_some(())).await;
    let charges = system.api.charges(&placed.order).await.expect("the provider's books");
    assert!(charges.iter().all(|charge| charge == "voided"), "{charges:?}");
}

/// An operator confirms in the buyer's stead and forgets how it is to be paid; another one goes on without authorizing anything. Nobody has
/// paid, so both turn around, and the buyer is not told what operators write.
async fn confirm_with_nothing(system: &System) {
    let placed = open(system).await;
    until("the buyer is waited for", WITHIN, async || (state(system, &placed).await == "waiting").then_some(())).await;
    operate(system, &placed, "signal", json!({"signal": "confirmation", "payload": {}})).await;
    assert_eq!(system.api.wait_until_ended(&placed.checkout, WITHIN).await, "failed");

    let placed = open(system).await;
    answer(system, "payment", &placed, "authorize_payment", "do", &Outcome::defect("no such bank")).await;
    confirm(system, &placed).await;
    wait_until_parked(system, &placed, "authorize_payment").await;
    operate(system, &placed, "skip", json!({"step": "authorize_payment"})).await;
    assert_eq!(system.api.wait_until_ended(&placed.checkout, WITHIN).await, "failed");

    let placed = open(system).await;
    until("the buyer is waited for", WITHIN, async || (state(system, &placed).await == "waiting").then_some(())).await;
    operate(system, &placed, "compensate", json!({})).await;
    assert_eq!(system.api.wait_until_ended(&placed.checkout, WITHIN).await, "failed");
    let shown = system.api.get(&format!("/v1/checkouts/{}", placed.checkout), As::Buyer).await.expect("answers");
    assert_eq!(shown.text_at("/failure/code"), "compensation_forced");
    assert!(!shown.text.contains("a drill") && !shown.text.contains("ak_"), "{shown:?}");
}

/// A participant that does not undo parks every order that it is asked for. Once it is mended, one request mends them all.
async fn retry_many(system: &System) {
    let placed = join_all((0..MANY).map(|_| open(system))).await;
    for one in &placed {
        answer(system, "inventory", one, "allocate_stock", "do", &Outcome::refused("flooded", "the depot")).await;
        answer(system, "inventory", one, "hold_stock", "undo", &Outcome::defect("the depot is flooded")).await;
        confirm(system, one).await;
    }
    for one in &placed {
        wait_until_parked(system, one, "hold_stock").await;
    }
    sqlx::query("delete from barrier where step = 'hold_stock' and direction = 'undo'")
        .execute(&mut system.database("inventory").await)
        .await
        .expect("the depot is dry");

    let retry = |dry_run: bool| {
        json!({"action": "retry", "filter": {"state": "parked", "step": "hold_stock"}, "reason": "the depot is dry",
               "dry_run": dry_run})
    };
    let counted = system.api.post("/v1/admin/sagas:bulk", As::Operator, &retry(true)).await.expect("answers");
    assert_eq!(counted.body, json!({"matches": MANY}));
    let started = system.api.post("/v1/admin/sagas:bulk", As::Operator, &retry(false)).await.expect("answers");
    assert_eq!(started.status.as_u16(), 202, "{started:?}");
    let path = format!("/v1/admin/bulk_operations/{}", started.text_at("/id"));
    let ended = until("all are worked", WITHIN, async || {
        let operation = system.api.get(&path, As::Operator).await.expect("answers").body;
        (operation["state"] == "done").then_some(operation)
    })
    .await;
    assert_eq!((&ended["matches"], &ended["done"]), (&json!(MANY), &json!(MANY)), "{ended}");
    for one in &placed {
        until("it is made good", WITHIN, async || (state(system, one).await == "compensated").then_some(())).await;
    }
    let path = format!("/v1/admin/audit?bulk_operation={}", started.text_at("/id"));
    let audit = system.api.get(&path, As::Operator).await.expect("answers").body;
    assert_eq!(audit["data"].as_array().map(Vec::len), Some(MANY), "a row for each");
}

async fn open(system: &System) -> Placed {
    let cart = system.api.cart(&[("VASE", 1)]).await.expect("a cart");
    system.api.check_out(&Api::open_checkout_of(&cart)).await.expect("accepted")
}

async fn confirm(system: &System, placed: &Placed) {
    let path = format!("/v1/checkouts/{}/confirm", placed.checkout);
    let answer = system.api.post(&path, As::Buyer, &json!({"payment_method": "pm_card_visa"})).await.expect("answers");
    assert!(answer.status.is_success(), "{answer:?}");
}

/// The participant finds its step decided like this, as a defect of its own would have it.
async fn answer(system: &System, service: &str, placed: &Placed, step: &str, direction: &str, outcome: &Outcome) {
    sqlx::query("insert into barrier (saga_id, step, direction, outcome) values ($1, $2, $3, $4)")
        .bind(uuid(placed))
        .bind(step)
        .bind(direction)
        .bind(Json(outcome))
        .execute(&mut system.database(service).await)
        .await
        .expect("the outcome is written");
}

fn uuid(placed: &Placed) -> Uuid {
    placed.checkout.parse::<CheckoutId>().expect("a checkout's id").uuid()
}

async fn saga(system: &System, placed: &Placed) -> Value {
    let path = format!("/v1/admin/sagas/{}", placed.checkout);
    system.api.get(&path, As::Operator).await.expect("answers").body
}

async fn state(system: &System, placed: &Placed) -> String {
    saga(system, placed).await["state"].as_str().unwrap_or_default().to_owned()
}

async fn wait_until_parked(system: &System, placed: &Placed, step: &str) {
    until(&format!("{step} is parked"), WITHIN, async || {
        let saga = saga(system, placed).await;
        (saga["state"] == "parked" && saga["step"] == step).then_some(())
    })
    .await;
}

async fn operate(system: &System, placed: &Placed, verb: &str, mut body: Value) -> Value {
    body["reason"] = json!("a drill");
    let path = format!("/v1/admin/sagas/{}/{verb}", placed.checkout);
    let answer = system.api.post(&path, As::Operator, &body).await.expect("answers");
    assert!(answer.status.is_success(), "{verb}: {answer:?}");
    answer.body
}
