//! Allocating against the sweeper: whoever is first, the hold has exactly one end.

use makegood_contracts::inventory::{HoldLine, HoldStock};
use makegood_testing::{SHOP, TestDatabase, job};
use sqlx::PgPool;
use uuid::Uuid;

use super::*;
use crate::{
    MIGRATOR,
    commands::hold_stock,
    hold_expiry::{Aside, ROUNDS_ASIDE, Round, expire_due},
    invariants::INVARIANTS,
    test_stock::{counters, stock_up},
};

async fn hold_all(pool: &PgPool, sagas: &[Uuid]) {
    hold_all_of(pool, "cup", sagas).await;
}

async fn hold_all_of(pool: &PgPool, sku: &str, sagas: &[Uuid]) {
    let cart = |saga: &Uuid| {
        let lines = vec![HoldLine { sku: sku.to_owned(), quantity: 1 }];
        job(*saga, "hold_stock", HoldStock { account: SHOP, lines, confirmed: false })
    };
    let jobs: Vec<_> = sagas.iter().map(cart).collect();
    let mut tx = pool.begin().await.expect("begins");
    hold_stock::handle(&mut tx, &jobs, 900).await.expect("holds");
    tx.commit().await.expect("commits");
}

async fn allocate(pool: &PgPool, sagas: &[Uuid]) -> Vec<Outcome> {
    let jobs: Vec<_> = sagas.iter().map(|saga| job(*saga, "allocate_stock", OwnHold {})).collect();
    let mut tx = pool.begin().await.expect("begins");
    let outcomes = handle(&mut tx, &jobs).await.expect("allocates");
    tx.commit().await.expect("commits");
    outcomes
}

async fn state_of(pool: &PgPool, saga: Uuid) -> String {
    sqlx::query_scalar("select state from hold where id = $1").bind(saga).fetch_one(pool).await.expect("reads the hold")
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_deadline_a_hold_is_either_allocated_or_expired_and_never_both() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 1_000)]).await;
    let (mut allocated, mut expired) = (0, 0);
    for _ in 0..40 {
        let sagas: Vec<Uuid> = std::iter::repeat_with(Uuid::now_v7).take(20).collect();
        hold_all(pool, &sagas).await;
        // Deadlines spread over the few milliseconds in which both sides run.
        sqlx::query("update hold set expires_at = clock_timestamp() + random() * interval '6 ms' where id = any($1)")
            .bind(&sagas)
            .execute(pool)
            .await
            .expect("moves deadlines");
        let sweeps = async {
            for _ in 0..6 {
                expire_due(pool, &mut Aside::default()).await.expect("sweeps");
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let (first, second, ()) = tokio::join!(allocate(pool, &sagas[..10]), allocate(pool, &sagas[10..]), sweeps);
        expire_due(pool, &mut Aside::default()).await.expect("sweeps");
        for (saga, outcome) in sagas.iter().zip(first.into_iter().chain(second)) {
            match (outcome, state_of(pool, *saga).await.as_str()) {
                (Outcome::Done { .. }, "allocated") => allocated += 1,
                (Outcome::Refused { code, .. }, "expired") if code == "hold_expired" => expired += 1,
                (outcome, state) => panic!("{outcome:?}, but the hold is {state}"),
            }
        }
        assert_eq!(counters(pool, "cup").await, (1_000, 0, allocated));
    }
    assert_eq!(allocated + expired, 800);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_round_ends_what_is_due_and_says_what_comes_next() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 5)]).await;
    let sagas: Vec<Uuid> = std::iter::repeat_with(Uuid::now_v7).take(3).collect();
    hold_all(pool, &sagas).await;
    allocate(pool, &sagas[2..]).await;
    sqlx::query("update hold set expires_at = now() - interval '1 s' where id = $1")
        .bind(sagas[0])
        .execute(pool)
        .await
        .expect("ages");
    let next_due = sqlx::query_scalar("select expires_at from hold where id = $1")
        .bind(sagas[1])
        .fetch_one(pool)
        .await
        .expect("reads");
    assert_eq!(expire_due(pool, &mut Aside::default()).await.expect("sweeps"), Round { expired: 1, next_due });
    assert_eq!(expire_due(pool, &mut Aside::default()).await.expect("sweeps"), Round { expired: 0, next_due });
    assert_eq!(counters(pool, "cup").await, (5, 1, 1));
    assert!(matches!(allocate(pool, &sagas[..1]).await[0], Outcome::Refused { .. }));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_hold_that_cannot_be_ended_holds_up_no_other_and_ends_once_it_is_mended() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 5), ("pot", 5)]).await;
    let sagas: Vec<Uuid> = std::iter::repeat_with(Uuid::now_v7).take(5).collect();
    hold_all_of(pool, "pot", &sagas[..1]).await;
    hold_all(pool, &sagas[1..]).await;
    let set_held = async |held: i64| {
        sqlx::query("update stock set held = $1 where sku = 'pot'").bind(held).execute(pool).await.expect("sets");
    };
    set_held(0).await;
    sqlx::query("update hold set expires_at = now() - interval '1 s'").execute(pool).await.expect("ages");

    let mut aside = Aside::default();
    let round = async |aside: &mut Aside| expire_due(pool, aside).await.expect("sweeps").expired;
    // PostgreSQL says that a statement failed just before it lets its rows go, and locked rows are left to the next round.
    let mut others = 0;
    for _ in 0..ROUNDS_ASIDE / 2 {
        others += round(&mut aside).await;
    }
    assert_eq!(others, 4, "one that cannot be ended holds up no other");
    assert_eq!(counters(pool, "cup").await, (5, 0, 0));
    assert_eq!(state_of(pool, sagas[0]).await, "held");
    assert_eq!(round(&mut aside).await, 0, "it is left out");

    set_held(1).await;
    let mut ended = 0;
    for _ in 0..=ROUNDS_ASIDE {
        ended += round(&mut aside).await;
    }
    assert_eq!(ended, 1, "it is tried again after a while");
    database.verify_and_drop(INVARIANTS).await;
}
