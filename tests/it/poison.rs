//! I9: nonsense on the bus is set aside with its reason, exactly it, and everybody else's order goes on.

use std::{collections::BTreeMap, time::Duration};

use futures::future::try_join_all;
use makegood_tests::System;
use serde_json::json;
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

/// The subject under which a reply is parked that nobody asked for.
const SENSELESS: &str = "reply.>";

/// Service, subject, what was kept of the message; of a senseless reply, its outcome.
type Letters = BTreeMap<(&'static str, String, String), usize>;

/// Says nonsense of every kind, and returns what must be found of it.
async fn poison(system: &System) -> Letters {
    let stranger = json!({"saga_id": Uuid::nil(), "step": "hold_stock", "direction": "do"});
    let misfit = json!({"lines": "three"});
    let command = json!({"key": stranger, "attempt": 1, "reply_to": "reply.0", "payload": misfit});
    let half = json!({"key": stranger});
    let reply = json!({"key": stranger, "attempt": 1, "outcome": {"status": "done"}});
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
        ("order", "evt.shipment.shipped.v1", format!("[{half}]"), half.to_string()),
    ] {
        jetstream.publish(subject, body).await;
        *letters.entry((service, subject.to_owned(), kept)).or_default() += 1;
    }
    // Replies to a saga that does not exist: the one that was said, and the inventory's answer to the misfit.
    for outcome in ["done", "failed"] {
        letters.insert(("orchestrator", SENSELESS.to_owned(), outcome.to_owned()), 1);
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
            if subject == SENSELESS {
                let event: serde_json::Value = serde_json::from_str(&kept).expect("an event");
                kept =
                    event.pointer("/outcome/status").and_then(|status| status.as_str()).expect("a status").to_owned();
            }
            *letters.entry((service, subject, kept)).or_default() += 1;
        }
    }
    letters
}
