//! Callbacks on a real database: twice, late, unknown, and contradictory.

use makegood_contracts::id::OrderId;
use makegood_testing::{SHOP, TestDatabase};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::{
    MIGRATOR,
    commands::tests::{create, release},
    http::shipment_view::{self, Which},
    invariants::INVARIANTS,
};

fn event(shipment: Uuid, tracking_number: &str) -> CarrierEvent {
    CarrierEvent {
        event_id: format!("event-{tracking_number}"),
        shipment_id: ShipmentId::from_uuid(shipment),
        status: CarrierStatus::Shipped,
        tracking_number: tracking_number.to_owned(),
        occurred_at: datetime!(2026-11-24 12:00 UTC),
    }
}

async fn told(pool: &PgPool) -> Vec<(String, i64, Value)> {
    sqlx::query_as("select subject, version, data from event_log where name = 'shipment.shipped' order by id")
        .fetch_all(pool)
        .await
        .expect("reads the log")
}

#[tokio::test]
async fn a_shipment_ships_once_however_often_the_carrier_says_so() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let saga = Uuid::now_v7();
    let ids = create(pool, saga).await;
    release(pool, &[saga]).await;

    let twice = [event(ids[0], "T1"), event(ids[0], "T2")];
    assert_eq!(apply(pool, &twice).await.expect("applies"), Applied { shipped: 1 });
    assert_eq!(apply(pool, &twice).await.expect("applies"), Applied { shipped: 0 });
    let data = json!({"shipment_id": ids[0], "order_id": saga, "tracking_number": "T1"});
    assert_eq!(told(pool).await, [(ids[0].to_string(), 3, data)]);

    let shown =
        shipment_view::find(pool, SHOP, Which::One(ShipmentId::from_uuid(ids[0]))).await.expect("finds").remove(0);
    assert_eq!((shown.status.as_str(), shown.tracking_number.as_deref()), ("shipped", Some("T1")));
    let of_order = shipment_view::find(pool, SHOP, Which::OfOrder(OrderId::from_uuid(saga))).await.expect("finds");
    let mut statuses: Vec<&str> = of_order.iter().map(|shipment| shipment.status.as_str()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["released", "shipped"]);
    let other_mode = Account { livemode: true, ..SHOP };
    assert!(
        shipment_view::find(pool, other_mode, Which::OfOrder(OrderId::from_uuid(saga)))
            .await
            .expect("finds")
            .is_empty()
    );
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn unknown_shipments_are_asked_for_again_and_the_known_ones_ship() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let saga = Uuid::now_v7();
    let ids = create(pool, saga).await;
    let stranger = Uuid::now_v7();

    assert_eq!(apply(pool, &[event(ids[0], "T0")]).await.expect("harmless"), Applied { shipped: 0 }, "never released");
    release(pool, &[saga]).await;
    let problem = apply(pool, &[event(stranger, "T1"), event(ids[0], "T2")]).await.expect_err("one is unknown");
    assert_eq!(problem.status, StatusCode::NOT_FOUND);
    assert_eq!(problem.extensions["unknown_shipments"], json!([ShipmentId::from_uuid(stranger)]));
    assert_eq!(told(pool).await.len(), 1);
    database.verify_and_drop(INVARIANTS).await;
}

#[test]
fn texts_that_no_carrier_writes_are_refused() {
    let id = Uuid::from_u128(1);
    assert!(validate(&[event(id, "T1")]).is_ok());
    assert!(validate(&[]).is_err());
    for text in ["", "T\n1", &"T".repeat(256)] {
        assert!(validate(&[event(id, text)]).is_err(), "{text:?}");
    }
    for never in [datetime!(9999-12-31 23:59:59 -23:59), datetime!(0000-01-01 00:00:00 +01:00)] {
        assert!(validate(&[CarrierEvent { occurred_at: never, ..event(id, "T1") }]).is_err(), "{never}");
    }
}
