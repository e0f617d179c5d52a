//! Returning goods of an order, on a real database and broker; the test plays the saga.

use futures::future::join_all;
use makegood_contracts::{id::ReturnId, reply::Outcome};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::super::tests::{Door, Said};
use crate::{
    commands::tests::{
        close, events,
        returns::{accept_return, begin_return, end_return},
        ship,
    },
    invariants::INVARIANTS,
    return_resending::take_due,
    saga_message::SagaMessages,
    test_checkout::ending,
};

/// A completed order of two units for 12.34 that has left, as its path and its id.
async fn shipped(door: &Door, key: &str) -> (String, Uuid) {
    let (order, id) = completed(door, key).await;
    ship(&door.database.db, id, Uuid::now_v7()).await;
    (order, id)
}

async fn completed(door: &Door, key: &str) -> (String, Uuid) {
    let request = door.confirming();
    let headers = [("idempotency-key", key)];
    let (opened, id) = tokio::join!(door.send("POST", "/v1/checkouts", &headers, request), door.open_next());
    close(&door.database.db, vec![ending(id, None, None)]).await;
    let order = opened.json()["order_id"].as_str().expect("an order's id").to_owned();
    let uuid = order.parse::<super::OrderId>().expect("an order's id").uuid();
    (format!("/v1/orders/{order}"), uuid)
}

async fn announce(door: &Door, order: &str, key: &str, quantity: i64) -> Said {
    let body = json!({"lines": [{"sku": "A-1", "quantity": quantity}], "reason": "too small"});
    door.send("POST", &format!("{order}/returns"), &[("idempotency-key", key)], body).await
}

async fn receive(door: &Door, id: Uuid, key: &str, lines: Value) -> Said {
    let path = format!("/v1/returns/{}/receive", ReturnId::from_uuid(id));
    door.send("POST", &path, &[("idempotency-key", key)], json!({"lines": lines})).await
}

async fn cancel(door: &Door, id: Uuid, key: &str) -> Said {
    let path = format!("/v1/returns/{}/cancel", ReturnId::from_uuid(id));
    door.send("POST", &path, &[("idempotency-key", key)], json!({})).await
}

async fn read(door: &Door, id: Uuid) -> Value {
    door.send("GET", &format!("/v1/returns/{}", ReturnId::from_uuid(id)), &[], Value::Null).await.json()
}

fn id_of(said: &Said) -> Uuid {
    assert_eq!(said.status, 202, "{said:?}");
    said.json()["id"].as_str().and_then(|id| id.parse::<ReturnId>().ok()).expect("a return's id").uuid()
}

/// The kind of problem that it was refused with.
fn refused(said: &Said) -> String {
    assert_eq!(said.status, 409, "{said:?}");
    let json = said.json();
    json["type"].as_str().and_then(|kind| kind.rsplit('/').next()).expect("a kind").to_owned()
}

fn refusal(outcome: Outcome) -> String {
    let Outcome::Refused { code, .. } = outcome else { panic!("{outcome:?}") };
    code
}

fn one(quantity: i64, restock: bool) -> Value {
    json!([{"sku": "A-1", "quantity": quantity, "restock": restock}])
}

/// What sagas of returns are told again, once its time has come.
async fn told_again(db: &PgPool) -> SagaMessages {
    sqlx::query("update order_return set resend_at = now() - interval '1 s' where resend_at is not null")
        .execute(db)
        .await
        .expect("makes all due");
    take_due(db).await.expect("takes")
}

fn counts(messages: &SagaMessages) -> [usize; 3] {
    [messages.starts.len(), messages.signals.len(), messages.cancels.len()]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_comes_back_in_parts_and_each_part_gives_back_its_share() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, uuid) = shipped(&door, "k1").await;
    let taken = announce(&door, &order, "k2", 2).await;
    let first = id_of(&taken);
    assert_eq!(taken.json()["refund"], json!({"amount": "12.34", "currency": "GBP"}));
    let again = announce(&door, &order, "k2", 2).await;
    assert!(again.replayed && again.body == taken.body);
    assert!(matches!(begin_return(db, first).await, Outcome::Done { output } if output["receive_by"].is_string()));

    // One comes, and the other one is free again.
    let received = receive(&door, first, "k3", one(1, true)).await;
    assert_eq!((received.status, &received.json()["status"]), (202, &json!("received")));
    assert_eq!(received.json()["refund"]["amount"], "6.17");
    assert!(receive(&door, first, "k3", one(1, true)).await.replayed);
    assert_eq!(refused(&receive(&door, first, "k4", one(1, true)).await), "return-not-open");
    assert_eq!(refused(&cancel(&door, first, "k5").await), "return-not-open");
    let Outcome::Done { output } = accept_return(db, first).await else { panic!("it is accepted") };
    assert_eq!(output["refund"], json!({"amount": "6.17", "currency": "GBP"}));
    assert_eq!(output["restock"], json!([{"sku": "A-1", "quantity": 1}]));
    assert_eq!((&output["nothing_to_refund"], &output["nothing_to_restock"]), (&json!(false), &json!(false)));
    assert_eq!(end_return(db, first, None).await, Outcome::done());
    assert_eq!(end_return(db, first, Some("late")).await, Outcome::done(), "it is ended once");
    assert_eq!(read(&door, first).await["status"], "completed");
    assert_eq!(door.send("GET", &order, &[], Value::Null).await.json()["return_status"], "partially_returned");
    door.database.verify(INVARIANTS).await;

    assert_eq!(refused(&announce(&door, &order, "k6", 2).await), "return-exceeds-order");
    let second = id_of(&announce(&door, &order, "k7", 1).await);
    begin_return(db, second).await;
    receive(&door, second, "k8", one(1, false)).await;
    let Outcome::Done { output } = accept_return(db, second).await else { panic!("it is accepted") };
    assert_eq!((&output["refund"]["amount"], &output["nothing_to_restock"]), (&json!("6.17"), &json!(true)));
    assert_eq!(end_return(db, second, None).await, Outcome::done());
    let read = door.send("GET", &order, &[], Value::Null).await.json();
    assert_eq!((&read["status"], &read["return_status"]), (&json!("completed"), &json!("returned")));
    assert_eq!(refused(&announce(&door, &order, "k9", 1).await), "return-exceeds-order");
    let page = door.send("GET", &format!("{order}/returns?limit=1"), &[], Value::Null).await.json();
    assert_eq!(page["data"][0]["id"], json!(ReturnId::from_uuid(second).to_string()));
    let rest = format!("{order}/returns?after={}", page["next"].as_str().expect("a next page"));
    assert_eq!(door.send("GET", &rest, &[], Value::Null).await.json()["data"][0]["status"], "completed");
    let names: Vec<String> = events(db, uuid).await.into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(
        names[3..],
        ["order.return_requested", "order.returned", "order.return_requested", "order.returned"],
        "after opened, completed and shipped"
    );
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn returns_at_once_never_have_more_than_was_sold() {
    let door = Door::open().await;
    let (order, _) = shipped(&door, "k1").await;
    let keys: Vec<String> = (0..12).map(|number| format!("at-once-{number}")).collect();
    let said = join_all(keys.iter().map(|key| announce(&door, &order, key, 1))).await;
    assert_eq!(said.iter().filter(|said| said.status == 202).count(), 2);
    for said in said.iter().filter(|said| said.status != 202) {
        assert_eq!(refused(said), "return-exceeds-order");
    }
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_receiving_and_calling_off_at_once_one_wins_and_both_are_told() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, _) = shipped(&door, "k1").await;
    for round in 0..8 {
        let id = id_of(&announce(&door, &order, &format!("a{round}"), 2).await);
        begin_return(db, id).await;
        let (receive_key, cancel_key) = (format!("r{round}"), format!("c{round}"));
        let (received, cancelled) =
            tokio::join!(receive(&door, id, &receive_key, one(1, false)), cancel(&door, id, &cancel_key));
        let status = read(&door, id).await["status"].as_str().expect("a status").to_owned();
        if received.status == 202 {
            assert_eq!((refused(&cancelled).as_str(), status.as_str()), ("return-not-open", "received"));
            assert!(matches!(accept_return(db, id).await, Outcome::Done { .. }));
            // An operator calls its saga off: its units are free again for the next round.
            end_return(db, id, Some("called_off")).await;
        } else {
            assert_eq!(
                (refused(&received).as_str(), cancelled.status, status.as_str()),
                ("return-not-open", 200, "cancelled")
            );
            assert_eq!(refusal(accept_return(db, id).await), "return_cancelled", "also when a deadline was quicker");
            end_return(db, id, Some("return_cancelled")).await;
        }
    }
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_saga_is_told_until_it_shows_that_it_knows() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, uuid) = shipped(&door, "k1").await;
    let id = id_of(&announce(&door, &order, "k2", 1).await);
    assert_eq!(counts(&take_due(db).await.expect("takes")), [0, 0, 0], "nothing is due before its time");
    let told = told_again(db).await;
    assert_eq!((counts(&told), told.starts[0].saga_id), ([1, 0, 0], id));
    assert_eq!(told.starts[0].definition, "return-order");
    assert_eq!(told.starts[0].input["order_id"], json!(uuid));
    assert_eq!(told.starts[0].input["reason"], "too small");
    // The goods are quicker than the saga's beginning.
    receive(&door, id, "k3", one(1, true)).await;
    assert_eq!(counts(&told_again(db).await), [1, 1, 0]);
    begin_return(db, id).await;
    let told = told_again(db).await;
    assert_eq!((counts(&told), told.signals[0].signal.as_str()), ([0, 1, 0], "goods_received"));
    accept_return(db, id).await;
    assert_eq!(counts(&told_again(db).await), [0, 0, 0]);
    end_return(db, id, None).await;

    let id = id_of(&announce(&door, &order, "k4", 1).await);
    begin_return(db, id).await;
    assert_eq!(counts(&told_again(db).await), [0, 0, 0], "it waits for goods and has nothing to tell");
    cancel(&door, id, "k5").await;
    assert_eq!(refusal(begin_return(db, id).await), "return_cancelled");
    let told = told_again(db).await;
    assert_eq!((counts(&told), told.cancels[0].saga_id), ([0, 0, 1], id));
    end_return(db, id, Some("return_cancelled")).await;
    assert_eq!(counts(&told_again(db).await), [0, 0, 0]);
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_that_do_not_come_in_time_are_not_taken_any_more_and_can_be_announced_again() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, uuid) = shipped(&door, "k1").await;
    let id = id_of(&announce(&door, &order, "k2", 2).await);
    begin_return(db, id).await;
    assert_eq!(refusal(accept_return(db, id).await), "return_expired");
    assert_eq!(refusal(accept_return(db, id).await), "return_expired");
    assert_eq!(refused(&receive(&door, id, "k3", one(1, true)).await), "return-not-open");
    end_return(db, id, Some("return_expired")).await;
    let expired = read(&door, id).await;
    assert_eq!((&expired["status"], &expired["failure_code"]), (&json!("expired"), &json!("return_expired")));
    let names: Vec<String> = events(db, uuid).await.into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names[3..], ["order.return_requested", "order.return_ended"]);
    assert_eq!(door.send("GET", &order, &[], Value::Null).await.json()["return_status"], "none");

    let id = id_of(&announce(&door, &order, "k4", 2).await);
    begin_return(db, id).await;
    let completed = end_return(db, id, None).await;
    assert!(
        matches!(&completed, Outcome::Failed { retryable: false, .. }),
        "a saga that completes a return of which nothing came needs a person: {completed:?}"
    );
    let unknown = Uuid::now_v7();
    for outcome in
        [begin_return(db, unknown).await, accept_return(db, unknown).await, end_return(db, unknown, None).await]
    {
        assert!(matches!(outcome, Outcome::Failed { retryable: false, .. }), "{outcome:?}");
    }
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_returned_is_refused_with_its_reason() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, id) = completed(&door, "k1").await;
    assert_eq!(refused(&announce(&door, &order, "k2", 1).await), "order-not-shipped");
    ship(db, id, Uuid::now_v7()).await;
    let jug = json!({"lines": [{"sku": "JUG", "quantity": 1}]});
    let unknown = door.send("POST", &format!("{order}/returns"), &[("idempotency-key", "k3")], jug).await;
    assert_eq!((refused(&unknown).as_str(), &unknown.json()["sku"]), ("return-line-unknown", &json!("JUG")));
    let return_id = id_of(&announce(&door, &order, "k4", 1).await);
    let too_many = receive(&door, return_id, "k5", one(2, true)).await;
    assert_eq!((refused(&too_many).as_str(), &too_many.json()["at_most"]), ("return-exceeds-announced", &json!(1)));
    let cancelled = door.send("POST", &format!("{order}/cancel"), &[("idempotency-key", "k6")], json!({})).await;
    assert_eq!(refused(&cancelled), "order-shipped", "what is coming back had left");

    for body in [
        json!({"lines": []}),
        json!({"lines": [{"sku": "A-1", "quantity": 0}]}),
        json!({"lines": [{"sku": "A-1", "quantity": 1_000_001}]}),
        json!({"lines": [{"sku": "A-1", "quantity": 1}], "reason": ""}),
        json!({"lines": [{"sku": "A-1", "quantity": 1}], "refund": "all"}),
    ] {
        let said = door.send("POST", &format!("{order}/returns"), &[("idempotency-key", "k7")], body).await;
        assert_eq!(said.status, 422, "{said:?}");
    }
    let body = json!({"lines": [{"sku": "A-1", "quantity": 1}]});
    assert_eq!(door.send("POST", &format!("{order}/returns"), &[], body.clone()).await.status, 400, "without a key");
    let nobodys = "/v1/orders/ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e60/returns";
    assert_eq!(door.send("POST", nobodys, &[("idempotency-key", "k8")], body.clone()).await.status, 404);
    assert_eq!(door.send("GET", nobodys, &[], Value::Null).await.status, 404);
    assert_eq!(receive(&door, Uuid::now_v7(), "k9", one(1, true)).await.status, 404);
    let path = format!("{order}/returns");
    for (key, expected) in [(&door.shop.storefront, 403), (&door.shop.stranger, 404)] {
        let headers = [("idempotency-key", "k10")];
        let (status, _, _) = door.shop.send(key, (http::Method::POST, &path), &headers, body.clone()).await;
        assert_eq!(status.as_u16(), expected);
    }

    sqlx::query("update orders set last_shipped_at = now() - interval '2 hours'").execute(db).await.expect("updates");
    assert_eq!(refused(&announce(&door, &order, "k11", 1).await), "return-window-over");
    // Before there was a column for it the order's completion counts.
    sqlx::query("update orders set last_shipped_at = null").execute(db).await.expect("updates");
    assert_eq!(announce(&door, &order, "k12", 1).await.status, 202);
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_being_cancelled_or_is_not_completed_is_not_returned() {
    let door = Door::open().await;
    let db = &door.database.db;
    let (order, id) = completed(&door, "k1").await;
    let taken = door.send("POST", &format!("{order}/cancel"), &[("idempotency-key", "k2")], json!({})).await;
    assert_eq!(taken.status, 202);
    // It leaves all the same, and the cancellation does not know yet.
    ship(db, id, Uuid::now_v7()).await;
    assert_eq!(refused(&announce(&door, &order, "k3", 1).await), "order-cancelling");
    sqlx::query("update orders set status = 'cancelled'").execute(db).await.expect("updates");
    assert_eq!(refused(&announce(&door, &order, "k4", 1).await), "order-not-completed");
    sqlx::query("update orders set status = 'completed'").execute(db).await.expect("updates");

    let request = door.confirming();
    let headers = [("idempotency-key", "k5")];
    let (opened, _) = tokio::join!(door.send("POST", "/v1/checkouts", &headers, request), door.open_next());
    let pending = format!("/v1/orders/{}", opened.json()["order_id"].as_str().expect("an order's id"));
    assert_eq!(refused(&announce(&door, &pending, "k6", 1).await), "order-not-completed");
    door.database.verify_and_drop(INVARIANTS).await;
}
