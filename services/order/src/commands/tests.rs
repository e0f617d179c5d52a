//! The commands on a real database, in the orders in which a saga sends them and in those in which it must not.

pub(crate) mod returns;

use makegood_chassis::idempotency::Answer;
use makegood_contracts::{
    event::Event,
    fulfillment::{SHIPMENT_SHIPPED, ShipmentShipped},
    orchestrator::{Ending, Reason},
    order::{BeginCancel, CloseCheckout, EndCancel, EndedCancellation, OpenCheckout, RequireAction},
    reply::Outcome,
};
use makegood_testing::{SHOP, TestDatabase, job};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{begin_cancel, close_checkout, end_cancel, open_checkout, require_action};
use crate::{
    MIGRATOR,
    checkout::Status,
    checkout_accepting::{Accepted, accept},
    checkout_answer,
    invariants::INVARIANTS,
    order_shipping,
    test_checkout::{accepted, checkout, ending, opening, request},
};

pub(crate) async fn open(pool: &PgPool, ids: &[Uuid]) -> Vec<Outcome> {
    let jobs: Vec<_> = ids.iter().map(|id| job(*id, "open_checkout", opening())).collect();
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = open_checkout::handle(&mut tx, &jobs).await.expect("opens");
    tx.commit().await.expect("commits");
    outcomes
}

pub(crate) async fn close(pool: &PgPool, endings: Vec<CloseCheckout>) -> Vec<Outcome> {
    let jobs: Vec<_> = endings.into_iter().map(|ending| job(ending.input.checkout_id, "finally", ending)).collect();
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = close_checkout::handle(&mut tx, &jobs).await.expect("closes");
    tx.commit().await.expect("commits");
    outcomes
}

pub(crate) async fn require(pool: &PgPool, id: Uuid, reason: &str) {
    let input = RequireAction { reason: reason.to_owned(), detail: json!({"redirect_url": "https://example.com/3ds"}) };
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = require_action::handle(&mut tx, &[job(id, "authorize_payment", input)]).await.expect("requires");
    tx.commit().await.expect("commits");
    assert_eq!(outcomes, [Outcome::done()]);
}

/// Begins a cancellation.
pub(crate) async fn begin(db: &PgPool, id: Uuid) -> Outcome {
    let mut tx = db.begin().await.expect("begins");
    let jobs = [job(id, "begin_cancel", BeginCancel { cancellation_id: id })];
    let outcomes = begin_cancel::handle(&mut tx, &jobs).await.expect("begins");
    tx.commit().await.expect("commits");
    outcomes[0].clone()
}

/// Ends a cancellation, twice in one batch.
pub(crate) async fn end(db: &PgPool, id: Uuid, refused_for: Option<&str>) -> Vec<Outcome> {
    let end = EndCancel {
        ended: if refused_for.is_some() { Ending::Compensated } else { Ending::Completed },
        reason: refused_for.map(|code| Reason {
            step: "withdraw_shipments".to_owned(),
            code: code.to_owned(),
            detail: "No.".to_owned(),
        }),
        input: EndedCancellation { cancellation_id: id },
    };
    let mut tx = db.begin().await.expect("begins");
    let jobs = [job(id, "finally", end.clone()), job(id, "finally", end)];
    let outcomes = end_cancel::handle(&mut tx, &jobs).await.expect("ends");
    tx.commit().await.expect("commits");
    outcomes
}

pub(crate) async fn ship(pool: &PgPool, order: Uuid, shipment: Uuid) {
    let data = ShipmentShipped { shipment_id: shipment, order_id: order, tracking_number: "T1".to_owned() };
    let event = Event {
        id: Uuid::now_v7(),
        name: SHIPMENT_SHIPPED.to_owned(),
        account: SHOP,
        subject: shipment.to_string(),
        version: 1,
        occurred_at: OffsetDateTime::UNIX_EPOCH,
        data: serde_json::to_value(data).expect("encodes"),
    };
    let mut tx = pool.begin().await.expect("begins");
    order_shipping::apply(&mut tx as &mut PgConnection, &[event.clone(), event]).await.expect("applies");
    tx.commit().await.expect("commits");
}

/// (name, version, fulfillment status) of an order's events, by version.
pub(crate) async fn events(pool: &PgPool, order: Uuid) -> Vec<(String, i64, String)> {
    sqlx::query_as("select name, version, data ->> 'fulfillment_status' from event_log where data ->> 'order_id' = $1 order by version")
        .bind(order.to_string())
        .fetch_all(pool)
        .await
        .expect("reads events")
}

async fn stored(pool: &PgPool, key: &str) -> Answer {
    let accepted = accept(pool, &[request(key, "body", None)]).await.expect("accepts");
    let [Accepted::Answered(answer)] = &accepted[..] else { panic!("{accepted:?}") };
    answer.clone()
}

#[tokio::test]
async fn an_opened_checkout_has_its_order_and_its_answer_for_ever() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let pool = &database.db;
    let waiting = accepted(pool, "k1", None).await;
    let confirmed = accepted(pool, "k2", Some("pm_card_visa")).await;
    assert_eq!(open(pool, &[waiting, confirmed]).await, [Outcome::done(), Outcome::done()]);

    for (id, key, status, http) in [(waiting, "k1", Status::Open, 201), (confirmed, "k2", Status::Processing, 202)] {
        let row = checkout(pool, id).await;
        assert_eq!(row.status, status);
        let answer = stored(pool, key).await;
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((answer.status, body["status"].as_str()), (http, Some(status.as_str())));
        assert_eq!(body["total"], json!({"amount": "12.34", "currency": "GBP"}));
        // Rendered again, by anyone and later, it is the same, byte for byte.
        assert_eq!(checkout_answer::opening(&row).expect("renders"), Some(answer.clone()));
        close(pool, vec![ending(id, Some(("authorize_payment", "card_declined")), None)]).await;
        let row = checkout(pool, id).await;
        assert_eq!(row.status, Status::Failed);
        assert_eq!(checkout_answer::opening(&row).expect("renders"), Some(answer));
        let told: Vec<String> = events(pool, row.order_id).await.into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(told, ["order.opened", "order.failed"]);
    }
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn commands_that_come_late_or_twice_change_nothing() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let pool = &database.db;
    let id = accepted(pool, "k1", Some("pm_card_visa")).await;
    open(pool, &[id]).await;
    require(pool, id, "provider_unknown").await;
    assert_eq!(checkout(pool, id).await.status, Status::Processing);
    require(pool, id, "requires_action").await;
    assert_eq!(checkout(pool, id).await.status, Status::RequiresAction);
    assert_eq!(open(pool, &[id]).await, [Outcome::done()]);
    assert_eq!(checkout(pool, id).await.status, Status::RequiresAction);

    assert_eq!(close(pool, vec![ending(id, None, None)]).await, [Outcome::done()]);
    let decided = checkout(pool, id).await;
    require(pool, id, "requires_action").await;
    assert_eq!(close(pool, vec![ending(id, Some(("confirmation", "cancelled")), None)]).await, [Outcome::done()]);
    assert!(matches!(open(pool, &[id]).await[..], [Outcome::Refused { .. }]));
    let after = checkout(pool, id).await;
    assert_eq!((after.status, after.version), (Status::Completed, decided.version));

    let unknown = Uuid::now_v7();
    assert!(matches!(open(pool, &[unknown]).await[..], [Outcome::Failed { retryable: false, .. }]));
    assert!(matches!(
        close(pool, vec![ending(unknown, None, None)]).await[..],
        [Outcome::Failed { retryable: false, .. }]
    ));
    database.verify_and_drop(INVARIANTS).await;
}

/// An operator hands the saga its confirmation: the checkout does not know of it, and the buyer must be sent to their bank all the same.
#[tokio::test]
async fn a_checkout_that_an_operator_confirmed_tells_the_buyer_what_it_requires() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let pool = &database.db;
    let id = accepted(pool, "k1", None).await;
    open(pool, &[id]).await;
    require(pool, id, "requires_action").await;
    let row = checkout(pool, id).await;
    assert_eq!(row.status, Status::RequiresAction);
    assert_eq!(row.next_action, Some(json!({"redirect_url": "https://example.com/3ds"})));
    close(pool, vec![ending(id, None, None)]).await;
    assert_eq!(checkout(pool, id).await.status, Status::Completed);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_checkout_that_ends_before_it_opens_has_no_order_and_a_refusal_for_all() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let pool = &database.db;
    let refused = accepted(pool, "k1", None).await;
    let expired = accepted(pool, "k2", None).await;
    let cancelled = accepted(pool, "k3", None).await;
    open(pool, &[expired]).await;
    let endings = vec![
        ending(refused, Some(("hold_stock", "out_of_stock")), None),
        ending(expired, Some(("confirmation", "deadline_passed")), None),
        ending(cancelled, Some(("lock_cart", "cancelled")), None),
    ];
    assert_eq!(close(pool, endings).await, [Outcome::done(), Outcome::done(), Outcome::done()]);
    for (id, status) in [(refused, Status::Failed), (expired, Status::Expired), (cancelled, Status::Cancelled)] {
        assert_eq!(checkout(pool, id).await.status, status);
    }
    let answer = stored(pool, "k1").await;
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["type"]), (409, &json!("https://makegood.dev/problems/out-of-stock")));
    let orders: Vec<(Uuid, String)> =
        sqlx::query_as("select checkout_id, status from orders").fetch_all(pool).await.expect("reads");
    assert_eq!(orders, [(expired, "expired".to_owned())]);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn shipments_are_counted_whether_they_leave_before_or_after_the_end() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let pool = &database.db;
    let id = accepted(pool, "k1", Some("pm_card_visa")).await;
    open(pool, &[id]).await;
    let order = checkout(pool, id).await.order_id;
    let [first, second] = [Uuid::now_v7(), Uuid::now_v7()];
    ship(pool, order, first).await;
    close(pool, vec![ending(id, None, Some(vec![first, second]))]).await;
    ship(pool, order, first).await;
    ship(pool, order, second).await;
    let event = |name: &str, version, fulfillment: &str| (name.to_owned(), version, fulfillment.to_owned());
    assert_eq!(
        events(pool, order).await,
        [
            event("order.opened", 1, "unfulfilled"),
            event("order.shipped", 2, "shipped"),
            event("order.completed", 3, "partially_shipped"),
            event("order.shipped", 4, "shipped"),
        ]
    );
    database.verify_and_drop(INVARIANTS).await;
}

/// Keeps the handler's input honest: what the definition sends is what is read.
#[test]
fn the_definitions_input_is_read() {
    let input = json!({
        "lines": [{"line": "A-1", "sku": "A-1", "title": "Kettle", "quantity": 2, "unit_price_minor": 617}],
        "total": {"amount": "12.34", "currency": "GBP"},
        "hold_expires_at": "2026-11-24T12:00:00.123456Z",
    });
    assert!(serde_json::from_value::<OpenCheckout>(input).is_ok());
}
