//! I9: nonsense on the bus, and what the database will not have, is set aside with its reason, exactly it, and everybody else's
//! order goes on.

use std::{collections::BTreeMap, time::Duration};

use futures::future::try_join_all;
use makegood_contracts::{
    orchestrator::{CANCEL_SAGA, SIGNAL_SAGA, START_SAGA},
    subject,
};
use makegood_tests::{As, System, until};
use serde_json::{Value, json};
use uuid::Uuid;

const ORDERS: usize = 50;
const DECIDED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn poison_becomes_dead_letters_and_orders_complete_beside_it() {
    let system = System::start().await;
    system.api.sell("SOAP", "2.00", 1_000).await.expect("on sale");
    let orders = (0..ORDERS).map(|_| system.api.place_order(&[("SOAP", 1)]));
    let (placed, expected) = tokio::join!(try_join_all(orders), poison(&system));
    for order in placed.expect("all are accepted") {
        assert_eq!(system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await, "completed", "{order:?}");
    }
    system.jetstream().await.wait_until_consumed().await;
    assert_eq!(dead_letters(&system).await, expected);
    system.finish().await;
}

/// Service, subject, what was kept of the message; of a senseless reply, its outcome.
type Letters = BTreeMap<(&'static str, String, String), usize>;

/// Says nonsense of every kind, and returns what must be found of it.
async fn poison(system: &System) -> Letters {
    let stranger = json!({"saga_id": Uuid::nil(), "step": "hold_stock", "direction": "do"});
    let misfit = json!({"lines": "three"});
    let command = json!({"key": stranger, "attempt": 1, "reply_to": "reply.0", "payload": misfit});
    let half = json!({"key": stranger});
    let reply = json!({"key": stranger, "attempt": 1, "outcome": {"status": "done"}});
    let nul = json!({"id": "\0"}).to_string();
    let garbage = "\u{1}no JSON at all";
    let mut letters = Letters::new();
    let jetstream = system.jetstream().await;
    for (service, subject, body, kept) in [
        ("inventory", "cmd.inventory.hold_stock.v1", garbage.to_owned(), garbage.to_owned()),
        ("inventory", "cmd.inventory.hold_stock.v1", format!("[{half}]"), half.to_string()),
        ("inventory", "cmd.inventory.hold_stock.v1", format!("[{command}]"), misfit.to_string()),
        ("inventory", "cmd.inventory.hold_stock.v2", format!("[{command}]"), format!("[{command}]")),
        ("payment", "cmd.payment.guess_amount.v1", "[]".to_owned(), "[]".to_owned()),
        ("cart", "cmd.cart.lock_cart.v1", garbage.to_owned(), garbage.to_owned()),
        ("order", "cmd.order.close_checkout.v1", garbage.to_owned(), garbage.to_owned()),
        ("fulfillment", "cmd.fulfillment.create_shipments.v1", garbage.to_owned(), garbage.to_owned()),
        ("orchestrator", "cmd.orchestrator.start_saga.v1", garbage.to_owned(), garbage.to_owned()),
        ("orchestrator", "cmd.orchestrator.start_saga.v9", "[]".to_owned(), "[]".to_owned()),
        ("orchestrator", "reply.0", garbage.to_owned(), garbage.to_owned()),
        ("orchestrator", "reply.0", format!("[{half}]"), half.to_string()),
        ("orchestrator", "reply.0", format!("[{half},{reply}]"), half.to_string()),
        ("cart", "evt.product.priced.v1", garbage.to_owned(), garbage.to_owned()),
        // Whoever cannot read it repeats the NUL in the reason.
        ("cart", "evt.product.priced.v1", format!("[{nul}]"), nul.clone()),
        ("order", "evt.shipment.shipped.v1", format!("[{half}]"), half.to_string()),
    ] {
        jetstream.publish(subject, body).await;
        *letters.entry((service, subject.to_owned(), kept)).or_default() += 1;
    }
    // Replies to a saga that does not exist: the one that was said, and the inventory's answer to the misfit.
    for outcome in ["done", "failed"] {
        letters.insert(("orchestrator", "reply.0".to_owned(), outcome.to_owned()), 1);
    }
    letters
}

async fn dead_letters(system: &System) -> Letters {
    let mut letters = Letters::new();
    for service in ["order", "cart", "catalog", "inventory", "payment", "fulfillment", "orchestrator", "sandbox"] {
        let found: Vec<(String, Vec<u8>, String)> = sqlx::query_as("select subject, payload, reason from dead_letter")
            .fetch_all(&mut system.database(service).await)
            .await
            .expect("reads");
        for (subject, payload, reason) in found {
            assert!(!reason.is_empty(), "{service}: {subject}");
            let mut kept = String::from_utf8(payload).expect("what was said");
            // Garbage is no JSON, and stays as it was said.
            if let Ok(said) = serde_json::from_str::<Value>(&kept)
                && let Some(outcome) = said.pointer("/outcome/status").and_then(Value::as_str)
            {
                kept = outcome.to_owned();
            }
            *letters.entry((service, subject, kept)).or_default() += 1;
        }
    }
    letters
}

/// What is no nonsense by its form, but cannot be written down: it stood at the head of every batch, and all sagas behind it.
#[tokio::test]
async fn what_cannot_be_written_holds_up_nobody() {
    let mut system = System::start().await;
    system.api.sell("SOAP", "2.00", 1_000).await.expect("on sale");
    let definitions = system.phone_order_definitions();
    system.stop("orchestrator").await;
    system.restart_with("orchestrator", &[("MAKEGOOD_DEFINITIONS", &definitions)]).await;
    let mut database = system.database("orchestrator").await;
    // What nobody has thought of: the database refuses one start, and one event, for reasons of its own.
    for refuse in [
        "alter table saga add constraint strange_start check (reference <> 'strange')",
        "alter table saga_log add constraint strange_event check (event::text not like '%strange%')",
    ] {
        sqlx::query(refuse).execute(&mut database).await.expect("adds a constraint");
    }
    let start = |id: Uuid, reference: &str, input: Value| json!({"saga_id": id, "definition": "phone-order", "reference": reference, "input": input});
    let [first, last, large] = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let starts = [
        start(first, "first", json!({})),
        start(Uuid::now_v7(), "nul \0 in the reference", json!({})),
        start(Uuid::now_v7(), "nul", json!({"note": "\0"})),
        start(Uuid::now_v7(), &"long".repeat(1_000), json!({})),
        start(Uuid::now_v7(), "strange", json!({})),
        start(large, "large", json!({"note": "x".repeat(300_000)})),
        start(last, "last", json!({})),
    ];
    let jetstream = system.jetstream().await;
    jetstream.publish(&subject::command(START_SAGA), Value::from(starts.to_vec()).to_string()).await;
    let reply = json!({"key": {"saga_id": first, "step": "approval", "direction": "do"}, "attempt": 1, "outcome": {"status": "refused", "code": "no", "detail": "\0"}});
    jetstream.publish("reply.0", json!([reply]).to_string()).await;
    let cancel = json!({"saga_id": first, "code": "strange", "detail": "nobody wants it"});
    jetstream.publish(&subject::command(CANCEL_SAGA), json!([cancel]).to_string()).await;
    let approve = |saga: Uuid| json!({"saga_id": saga, "signal": "approval", "payload": {}});
    let unheard_of = json!({"saga_id": last, "signal": "applause", "payload": {}});
    let signals = json!([unheard_of, approve(first), approve(last)]).to_string();
    jetstream.publish(&subject::command(SIGNAL_SAGA), signals).await;

    until("both have ended, and the large one is parked", DECIDED_WITHIN, async || {
        let states =
            "select string_agg(state, ',' order by reference) from every_saga where definition = 'phone-order'";
        let states: Option<String> = sqlx::query_scalar(states).fetch_one(&mut database).await.expect("reads");
        (states? == "completed,parked,completed").then_some(())
    })
    .await;
    let order = system.api.place_order(&[("SOAP", 1)]).await.expect("accepted");
    assert_eq!(system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await, "completed");
    jetstream.wait_until_consumed().await;
    let letters = "select count(*) from dead_letter where reason like $1";
    for (reason, expected) in [
        ("%NUL character%", 3_i64),
        ("%reference is not 1 to 255 characters%", 1),
        ("%violates check constraint%strange_start%", 1),
        ("saga % cannot be moved by it:%violates check constraint%strange_event%", 1),
        ("the signal `applause` to saga %: the definition awaits no signal%", 1),
        ("%", 7),
    ] {
        let found: i64 = sqlx::query_scalar(letters).bind(reason).fetch_one(&mut database).await.expect("counts");
        assert_eq!(found, expected, "{reason}");
    }
    let resolve = json!({"reason": "too large a note"});
    let path = format!("/v1/admin/sagas/sga_{}/compensate", large.simple());
    let answer = system.api.post(&path, As::Operator, &resolve).await.expect("answers");
    assert!(answer.status.is_success(), "{}", answer.body);
    system.finish().await;
}
