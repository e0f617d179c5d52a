//! A hold's whole life on a real database: every step twice, and every way back.

use makegood_contracts::inventory::{
    AllocatedStock, Allocation, HeldStock, HoldLine, HoldStock, OwnHold, RestockReturn, RestockSale, ReturnedLine,
};
use makegood_testing::{SHOP, TestDatabase, job};
use sqlx::PgPool;

use super::*;
use crate::{
    MIGRATOR,
    invariants::INVARIANTS,
    test_stock::{counters, stock_up},
};

const TTL_SECONDS: u32 = 900;

async fn hold(pool: &PgPool, saga: Uuid, lines: &[(&str, i64)]) -> Outcome {
    hold_for(pool, saga, lines, false).await
}

/// For a buyer who has confirmed, or not yet.
async fn hold_for(pool: &PgPool, saga: Uuid, lines: &[(&str, i64)], confirmed: bool) -> Outcome {
    let lines = lines.iter().map(|(sku, quantity)| HoldLine { sku: (*sku).to_owned(), quantity: *quantity }).collect();
    let jobs = [job(saga, "hold_stock", HoldStock { account: SHOP, lines, confirmed })];
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = hold_stock::handle(&mut tx, &jobs, TTL_SECONDS).await;
    tx.commit().await.expect("commits");
    outcomes.expect("holds").remove(0)
}

/// Runs one of the commands that need nothing but the saga's own hold.
async fn step(pool: &PgPool, verb: &str, saga: Uuid) -> Outcome {
    let jobs = [job(saga, verb, OwnHold {})];
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = match verb {
        "release_stock" => release_stock::handle(&mut tx, &jobs).await,
        "allocate_stock" => allocate_stock::handle(&mut tx, &jobs).await,
        "commit_stock" => commit_stock::handle(&mut tx, &jobs).await,
        _ => panic!("{verb} is no command"),
    };
    tx.commit().await.expect("commits");
    outcomes.expect(verb).remove(0)
}

fn is_defect(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { retryable: false, .. })
}

#[tokio::test]
async fn a_sale_takes_the_goods_once_however_often_each_step_is_sent() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 3), ("pot", 1)]).await;
    stock_up(pool, "far", 2, &[("cup", 3)]).await;
    let saga = Uuid::now_v7();

    hold(pool, saga, &[("cup", 4), ("pot", 1)]).await;
    assert_eq!(counters(pool, "cup").await, (6, 4, 0));
    let allocation = |warehouse: &str, sku: &str, quantity| Allocation {
        warehouse: warehouse.to_owned(),
        sku: sku.to_owned(),
        quantity,
    };
    let expected = AllocatedStock {
        allocations: vec![allocation("near", "cup", 3), allocation("far", "cup", 1), allocation("near", "pot", 1)],
    };
    let expected = serde_json::to_value(expected).expect("serializes");
    for _ in 0..2 {
        assert_eq!(step(pool, "allocate_stock", saga).await, Outcome::Done { output: expected.clone() });
        assert_eq!(counters(pool, "cup").await, (6, 0, 4));
    }
    for _ in 0..2 {
        assert_eq!(step(pool, "commit_stock", saga).await, Outcome::done());
        assert_eq!(counters(pool, "cup").await, (2, 0, 0));
    }
    assert!(is_defect(&step(pool, "release_stock", saga).await), "what is sold is not given back by an undo");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn what_is_confirmed_is_allocated_at_once_and_waits_for_nobody() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 3), ("pot", 1)]).await;
    stock_up(pool, "far", 2, &[("cup", 3)]).await;
    let [sold, undone] = std::array::from_fn(|_| Uuid::now_v7());

    let Outcome::Done { output } = hold_for(pool, sold, &[("cup", 4), ("pot", 1)], true).await else {
        panic!("it is held")
    };
    let held: HeldStock = serde_json::from_value(output).expect("a hold");
    let at_once = AllocatedStock { allocations: held.allocations.expect("it is allocated") };
    assert_eq!(counters(pool, "cup").await, (6, 0, 4));
    let expires_at: Option<time::OffsetDateTime> = sqlx::query_scalar("select expires_at from hold where id = $1")
        .bind(sold)
        .fetch_one(pool)
        .await
        .expect("reads");
    assert_eq!(expires_at, None, "no sweeper ends it");
    // A flow that allocates in any case, as version 1 of the checkout does, is answered with the same.
    let again = serde_json::to_value(at_once).expect("serializes");
    assert_eq!(step(pool, "allocate_stock", sold).await, Outcome::Done { output: again });
    assert_eq!(step(pool, "commit_stock", sold).await, Outcome::done());
    assert_eq!(counters(pool, "cup").await, (2, 0, 0));

    assert!(matches!(hold_for(pool, undone, &[("cup", 2)], true).await, Outcome::Done { .. }));
    for _ in 0..2 {
        assert_eq!(step(pool, "release_stock", undone).await, Outcome::done());
        assert_eq!(counters(pool, "cup").await, (2, 0, 0));
    }
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn every_way_back_gives_everything_back_once() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 10)]).await;
    let ways: [&[&str]; 3] = [
        &["release_stock", "release_stock"],
        &["allocate_stock", "release_stock", "release_stock"],
        &["allocate_stock", "allocate_stock", "release_stock"],
    ];
    for way in ways {
        let saga = Uuid::now_v7();
        hold(pool, saga, &[("cup", 7)]).await;
        for verb in way {
            assert!(matches!(step(pool, verb, saga).await, Outcome::Done { .. }), "{verb} of {way:?}");
        }
        assert_eq!(counters(pool, "cup").await, (10, 0, 0), "{way:?}");
        let late = step(pool, "allocate_stock", saga).await;
        assert!(matches!(late, Outcome::Refused { code, .. } if code == "hold_expired"));
        assert!(is_defect(&step(pool, "commit_stock", saga).await));
    }
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_saga_without_a_hold_has_nothing_to_undo_and_nothing_to_sell() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    let saga = Uuid::now_v7();
    assert_eq!(step(pool, "release_stock", saga).await, Outcome::done());
    assert!(matches!(step(pool, "allocate_stock", saga).await, Outcome::Refused { .. }));
    assert!(is_defect(&step(pool, "commit_stock", saga).await));
    database.verify_and_drop(INVARIANTS).await;
}

/// The command of another saga than the one that took the hold.
async fn restock(pool: &PgPool, sagas: &[Uuid], checkout: Uuid) -> Vec<Outcome> {
    let jobs: Vec<_> = sagas.iter().map(|saga| job(*saga, "restock", RestockSale { checkout_id: checkout })).collect();
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = restock_sale::handle(&mut tx, &jobs).await.expect("restocks");
    tx.commit().await.expect("commits");
    outcomes
}

#[tokio::test]
async fn what_was_sold_comes_back_once_to_where_it_was() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 3), ("pot", 1)]).await;
    stock_up(pool, "far", 2, &[("cup", 3)]).await;
    let (checkout, cancelling) = (Uuid::now_v7(), Uuid::now_v7());
    hold(pool, checkout, &[("cup", 4), ("pot", 1)]).await;
    assert!(is_defect(&restock(pool, &[cancelling], checkout).await[0]), "nothing is sold yet");
    for verb in ["allocate_stock", "commit_stock"] {
        step(pool, verb, checkout).await;
    }
    assert_eq!(counters(pool, "cup").await, (2, 0, 0));
    // Twice in one batch, and again for another saga.
    assert_eq!(restock(pool, &[cancelling, cancelling], checkout).await, [Outcome::done(), Outcome::done()]);
    assert_eq!(restock(pool, &[Uuid::now_v7()], checkout).await, [Outcome::done()]);
    assert_eq!(counters(pool, "cup").await, (6, 0, 0));
    assert_eq!(counters(pool, "pot").await, (1, 0, 0));
    assert!(is_defect(&restock(pool, &[cancelling], Uuid::now_v7()).await[0]), "no such checkout");
    database.verify_and_drop(INVARIANTS).await;
}

/// Returns of a checkout in one batch: what each brings of cups, and the units that are said to be back.
async fn bring_back(pool: &PgPool, checkout: Uuid, returns: &[(Uuid, i64)]) -> Vec<Result<i64, ()>> {
    let jobs: Vec<_> = returns
        .iter()
        .map(|(return_id, quantity)| {
            let lines = vec![ReturnedLine { sku: "cup".to_owned(), quantity: *quantity }];
            job(*return_id, "restock", RestockReturn { return_id: *return_id, checkout_id: checkout, lines })
        })
        .collect();
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = restock_return::handle(&mut tx, &jobs).await.expect("restocks");
    tx.commit().await.expect("commits");
    let units = |outcome: Outcome| {
        let Outcome::Done { output } = &outcome else {
            assert!(is_defect(&outcome), "{outcome:?}");
            return Err(());
        };
        Ok(output["units"].as_i64().expect("units"))
    };
    outcomes.into_iter().map(units).collect()
}

async fn on_hand(pool: &PgPool, warehouse: &str) -> i64 {
    sqlx::query_scalar(
        "select on_hand from stock join warehouse w on w.id = warehouse_id where sku = 'cup' and code = $1",
    )
    .bind(warehouse)
    .fetch_one(pool)
    .await
    .expect("reads stock")
}

#[tokio::test]
async fn returns_go_back_to_where_they_were_sold_and_never_more_than_was_sold() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 3), ("pot", 1)]).await;
    stock_up(pool, "far", 2, &[("cup", 3)]).await;
    let checkout = Uuid::now_v7();
    hold(pool, checkout, &[("cup", 4), ("pot", 1)]).await;
    let [first, second, third] = std::array::from_fn(|_| Uuid::now_v7());
    assert_eq!(bring_back(pool, checkout, &[(first, 1)]).await, [Err(())], "nothing is sold yet");
    for verb in ["allocate_stock", "commit_stock"] {
        step(pool, verb, checkout).await;
    }
    assert_eq!((on_hand(pool, "near").await, on_hand(pool, "far").await), (0, 2));
    // Twice in one batch, and again in another: once.
    assert_eq!(bring_back(pool, checkout, &[(first, 2), (first, 2)]).await, [Ok(2), Ok(2)]);
    assert_eq!(bring_back(pool, checkout, &[(first, 2)]).await, [Ok(2)]);
    assert_eq!((on_hand(pool, "near").await, on_hand(pool, "far").await), (2, 2));
    // Two at once for what is left: the second finds too little, and takes none of it.
    assert_eq!(bring_back(pool, checkout, &[(second, 1), (third, 2)]).await, [Ok(1), Err(())]);
    assert_eq!(bring_back(pool, checkout, &[(third, 1)]).await, [Ok(1)]);
    assert_eq!((on_hand(pool, "near").await, on_hand(pool, "far").await), (3, 3));
    assert_eq!(bring_back(pool, checkout, &[(Uuid::now_v7(), 1)]).await, [Err(())]);
    assert_eq!(bring_back(pool, Uuid::now_v7(), &[(Uuid::now_v7(), 1)]).await, [Err(())], "no such checkout");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn returns_of_one_sale_at_once_share_what_was_sold() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 5)]).await;
    let checkout = Uuid::now_v7();
    hold(pool, checkout, &[("cup", 5)]).await;
    for verb in ["allocate_stock", "commit_stock"] {
        step(pool, verb, checkout).await;
    }
    let mut at_once = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let pool = pool.clone();
        at_once.spawn(async move { bring_back(&pool, checkout, &[(Uuid::now_v7(), 2)]).await[0] });
    }
    let back = at_once.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(back, 2);
    assert_eq!(counters(pool, "cup").await, (4, 0, 0));
    database.verify_and_drop(INVARIANTS).await;
}
