//! Cancelling a completed order, on a real database and broker; the test plays the saga.

use makegood_contracts::{id::CancellationId, reply::Outcome};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::tests::{Door, Said};
use crate::{
    commands::tests::{begin, close, end, events, ship},
    invariants::INVARIANTS,
    order_cancellation::take_due,
    test_checkout::ending,
};

/// A completed order, as its path.
async fn completed(door: &Door, key: &str) -> (String, Uuid) {
    let request = door.confirming();
    let headers = [("idempotency-key", key)];
    let (opened, id) = tokio::join!(door.send("POST", "/v1/checkouts", &headers, request), door.open_next());
    close(&door.database.db, vec![ending(id, None, None)]).await;
    let order = opened.json()["order_id"].as_str().expect("an order's id").to_owned();
    let uuid = order.parse::<super::OrderId>().expect("an order's id").uuid();
    (format!("/v1/orders/{order}"), uuid)
}

async fn cancel(door: &Door, order: &str, key: &str) -> Said {
    let body = json!({"reason": "ordered twice"});
    door.send("POST", &format!("{order}/cancel"), &[("idempotency-key", key)], body).await
}

fn id_of(said: &Said) -> Uuid {
    said.json()["id"].as_str().and_then(|id| id.parse::<CancellationId>().ok()).expect("a cancellation's id").uuid()
}

/// What the order says of its status and its cancellation.
async fn read(door: &Door, order: &str) -> (String, Value) {
    let json = door.send("GET", order, &[], Value::Null).await.json();
    (json["status"].as_str().expect("a status").to_owned(), json["cancellation"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_order_is_cancelled_once_and_its_saga_is_told_until_it_runs() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, uuid) = completed(&door, "k1").await;
    let taken = cancel(&door, &order, "k2").await;
    assert_eq!((taken.status, taken.json()["status"].as_str()), (202, Some("requested")));
    let again = cancel(&door, &order, "k2").await;
    assert!(again.replayed && again.body == taken.body);
    let second = cancel(&door, &order, "k3").await;
    assert_eq!(
        (second.status, second.json()["type"].as_str()),
        (409, Some("https://makegood.dev/problems/order-cancelling"))
    );

    let id = id_of(&taken);
    assert!(take_due(db).await.expect("takes").starts.is_empty(), "nothing is due before its time");
    sqlx::query("update order_cancellation set resend_at = now() - interval '1 s'").execute(db).await.expect("updates");
    let starts = take_due(db).await.expect("takes").starts;
    assert_eq!((starts.len(), starts[0].saga_id, starts[0].definition.as_str()), (1, id, "cancel-order"));
    assert_eq!(starts[0].input["total"], json!({"amount": "12.34", "currency": "GBP"}));
    assert_eq!(starts[0].input["reason"], "ordered twice");

    for _ in 0..2 {
        assert_eq!(begin(db, id).await, Outcome::done());
    }
    let told: i64 = sqlx::query_scalar("select count(*) from order_cancellation where resend_at is not null")
        .fetch_one(db)
        .await
        .expect("counts");
    assert_eq!(told, 0, "a saga that runs is not started again");
    assert_eq!(end(db, id, None).await, [Outcome::done(), Outcome::done()]);
    assert_eq!(end(db, id, Some("late")).await, [Outcome::done(), Outcome::done()], "it is decided once");
    let (status, cancellation) = read(&door, &order).await;
    assert_eq!((status.as_str(), &cancellation["status"]), ("cancelled", &json!("completed")));
    let names: Vec<String> = events(db, uuid).await.into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["order.opened", "order.completed", "order.cancel_requested", "order.cancelled"]);
    assert_eq!(cancel(&door, &order, "k4").await.status, 409, "what is cancelled cannot be cancelled");
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_cancellation_leaves_the_order_as_it_is_and_another_may_follow() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, _) = completed(&door, "k1").await;
    let first = id_of(&cancel(&door, &order, "k2").await);
    begin(db, first).await;
    end(db, first, Some("shipment_handed_over")).await;
    let (status, cancellation) = read(&door, &order).await;
    assert_eq!((status.as_str(), &cancellation["failure_code"]), ("completed", &json!("shipment_handed_over")));
    assert_eq!(cancel(&door, &order, "k3").await.status, 202);
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_left_or_is_not_completed_cannot_be_cancelled() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, uuid) = completed(&door, "k1").await;
    let taken = cancel(&door, &order, "k2").await;
    // It leaves between the wish and the saga.
    ship(db, uuid, Uuid::now_v7()).await;
    assert!(matches!(begin(db, id_of(&taken)).await, Outcome::Refused { code, .. } if code == "order_shipped"));
    end(db, id_of(&taken), Some("order_shipped")).await;
    let shipped = cancel(&door, &order, "k3").await;
    assert_eq!(
        (shipped.status, shipped.json()["type"].as_str()),
        (409, Some("https://makegood.dev/problems/order-shipped"))
    );

    let request = door.confirming();
    let headers = [("idempotency-key", "k4")];
    let (opened, _) = tokio::join!(door.send("POST", "/v1/checkouts", &headers, request), door.open_next());
    let pending = format!("/v1/orders/{}", opened.json()["order_id"].as_str().expect("an order's id"));
    let refused = cancel(&door, &pending, "k5").await;
    assert_eq!(refused.json()["type"].as_str(), Some("https://makegood.dev/problems/order-not-completed"));
    assert_eq!(cancel(&door, "/v1/orders/ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e60", "k6").await.status, 404);
    door.database.verify_and_drop(INVARIANTS).await;
}
