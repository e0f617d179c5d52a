//! Shipments on a real database: planned, released, undone, each step twice.

use makegood_contracts::{
    fulfillment::{CreateShipments, CreatedShipments, OwnShipments, WithdrawShipments},
    inventory::Allocation,
};
use makegood_testing::{SHOP, TestDatabase, job};
use serde_json::json;
use sqlx::PgPool;

use super::*;
use crate::{MIGRATOR, invariants::INVARIANTS};

/// Shipments from two warehouses, by the ids that the command answers.
pub(crate) async fn create(pool: &PgPool, saga: Uuid) -> Vec<Uuid> {
    let allocation = |warehouse: &str, sku: &str, quantity| Allocation {
        warehouse: warehouse.to_owned(),
        sku: sku.to_owned(),
        quantity,
    };
    let allocations = vec![
        allocation("near", "cup", 1),
        allocation("far", "cup", 2),
        allocation("near", "pot", 1),
        allocation("near", "cup", 1),
    ];
    let Outcome::Done { output } = create_of(pool, saga, Some(allocations), None).await else { panic!("it is done") };
    serde_json::from_value::<CreatedShipments>(output).expect("created shipments").shipment_ids
}

async fn create_of(
    pool: &PgPool,
    saga: Uuid,
    allocations: Option<Vec<Allocation>>,
    allocated_with_hold: Option<Vec<Allocation>>,
) -> Outcome {
    let input = CreateShipments {
        account: SHOP,
        order_id: saga,
        shipping_method: "standard".to_owned(),
        shipping_address: json!({"country": "GB"}),
        allocations,
        allocated_with_hold,
    };
    let mut tx = pool.begin().await.expect("begins");
    let outcome =
        create_shipments::handle(&mut tx, &[job(saga, "create_shipments", input)]).await.expect("creates").remove(0);
    tx.commit().await.expect("commits");
    outcome
}

#[tokio::test]
async fn parcels_are_planned_whichever_step_has_allocated_and_not_where_none_has() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let one = || Some(vec![Allocation { warehouse: "near".to_owned(), sku: "cup".to_owned(), quantity: 1 }]);
    let planned = async |saga, allocations, with_hold| match create_of(pool, saga, allocations, with_hold).await {
        Outcome::Done { output } => {
            Some(serde_json::from_value::<CreatedShipments>(output).expect("shipments").shipment_ids.len())
        }
        Outcome::Failed { retryable: false, .. } => None,
        outcome @ (Outcome::Failed { .. } | Outcome::Refused { .. } | Outcome::Pending { .. }) => panic!("{outcome:?}"),
    };
    assert_eq!(planned(Uuid::now_v7(), one(), None).await, Some(1));
    assert_eq!(planned(Uuid::now_v7(), None, one()).await, Some(1));
    assert_eq!(planned(Uuid::now_v7(), Some(Vec::new()), None).await, Some(0), "an operator's stand-in: nothing");
    assert_eq!(planned(Uuid::now_v7(), None, None).await, None, "nobody has said what");
    database.verify_and_drop(INVARIANTS).await;
}

pub(crate) async fn release(pool: &PgPool, sagas: &[Uuid]) -> Vec<Outcome> {
    let jobs: Vec<_> = sagas.iter().map(|saga| job(*saga, "release_shipments", OwnShipments {})).collect();
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = release_shipments::handle(&mut tx, &jobs, 0).await.expect("releases");
    tx.commit().await.expect("commits");
    outcomes
}

async fn cancel(pool: &PgPool, sagas: &[Uuid]) -> Vec<Outcome> {
    let jobs: Vec<_> = sagas.iter().map(|saga| job(*saga, "create_shipments", OwnShipments {})).collect();
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = cancel_shipments::handle(&mut tx, &jobs).await.expect("cancels");
    tx.commit().await.expect("commits");
    outcomes
}

/// Each shipment's warehouse, state and version.
async fn shipments(pool: &PgPool, saga: Uuid) -> Vec<(String, String, i64)> {
    sqlx::query_as("select warehouse, state, version from shipment where saga_id = $1 order by warehouse")
        .bind(saga)
        .fetch_all(pool)
        .await
        .expect("reads shipments")
}

fn expected(state: &str, version: i64) -> Vec<(String, String, i64)> {
    ["far", "near"].into_iter().map(|warehouse| (warehouse.to_owned(), state.to_owned(), version)).collect()
}

#[tokio::test]
async fn one_shipment_per_warehouse_is_planned_once_and_released_once() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let saga = Uuid::now_v7();
    let ids = create(pool, saga).await;
    assert_eq!(create(pool, saga).await, ids, "a repeat plans nothing new");
    assert_eq!(shipments(pool, saga).await, expected("created", 1));
    let lines: Vec<(String, String, i64)> = sqlx::query_as(
        "select warehouse, sku, quantity from shipment, jsonb_to_recordset(lines) as l (sku text, quantity bigint) order by 1, 2",
    )
    .fetch_all(pool)
    .await
    .expect("reads lines");
    let line = |warehouse: &str, sku: &str, quantity| (warehouse.to_owned(), sku.to_owned(), quantity);
    assert_eq!(lines, [line("far", "cup", 2), line("near", "cup", 2), line("near", "pot", 1)]);
    for _ in 0..2 {
        assert_eq!(release(pool, &[saga]).await, [Outcome::done()]);
        assert_eq!(shipments(pool, saga).await, expected("released", 2));
    }
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn an_undo_cancels_whatever_has_not_left_and_nothing_else_of_the_batch() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let [planned, released, shipped, absent] = std::array::from_fn(|_| Uuid::now_v7());
    for saga in [planned, released, shipped] {
        create(pool, saga).await;
    }
    release(pool, &[released, shipped]).await;
    sqlx::query(
        r"update shipment set state = 'shipped', tracking_number = 'T', shipped_at = now(), handover_due_at = null,
            changed_at = now() - interval '2 days'
          where saga_id = $1 and warehouse = 'far'",
    )
    .bind(shipped)
    .execute(pool)
    .await
    .expect("ships one of two");
    for _ in 0..2 {
        let outcomes = cancel(pool, &[planned, released, shipped, absent]).await;
        assert_eq!([&outcomes[0], &outcomes[1], &outcomes[3]], [&Outcome::done(); 3]);
        assert!(matches!(&outcomes[2], Outcome::Failed { retryable: false, .. }));
    }
    assert_eq!(shipments(pool, planned).await, expected("cancelled", 2));
    assert_eq!(shipments(pool, released).await, expected("cancelled", 3));
    let states: Vec<String> = shipments(pool, shipped).await.into_iter().map(|(_, state, _)| state).collect();
    assert_eq!(states, ["shipped", "released"], "its sibling stays released: an operator must see both");
    assert!(matches!(release(pool, &[planned]).await[0], Outcome::Failed { retryable: false, .. }));
    database.verify_and_drop(INVARIANTS).await;
}

/// The command of another saga than the one that planned the shipments.
async fn withdraw(pool: &PgPool, checkouts: &[Uuid]) -> Vec<Outcome> {
    let job = |checkout: &Uuid| job(Uuid::now_v7(), "withdraw", WithdrawShipments { checkout_id: *checkout });
    let jobs: Vec<_> = checkouts.iter().map(job).collect();
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = withdraw_shipments::handle(&mut tx, &jobs).await.expect("withdraws");
    tx.commit().await.expect("commits");
    outcomes
}

#[tokio::test]
async fn released_shipments_are_taken_back_until_the_carrier_is_told_of_one() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let [lies_here, offered] = [Uuid::now_v7(), Uuid::now_v7()];
    create(pool, lies_here).await;
    let parcels = create(pool, offered).await;
    release(pool, &[lies_here, offered]).await;
    sqlx::query("update shipment set offered_at = now() where id = $1")
        .bind(parcels[0])
        .execute(pool)
        .await
        .expect("offers one of two");
    let outcomes = withdraw(pool, &[lies_here, offered, lies_here]).await;
    assert!(matches!(&outcomes[1], Outcome::Refused { code, .. } if code == "shipment_handed_over"), "{outcomes:?}");
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::done(), &Outcome::done()));
    assert_eq!(shipments(pool, lies_here).await, expected("cancelled", 3));
    assert_eq!(shipments(pool, offered).await, expected("released", 2));
    assert_eq!(withdraw(pool, &[lies_here]).await, [Outcome::done()]);
    assert_eq!(shipments(pool, lies_here).await, expected("cancelled", 3), "a repeat changes nothing");
    database.verify_and_drop(INVARIANTS).await;
}
