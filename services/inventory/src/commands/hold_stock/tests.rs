//! Holding on a real database: many at once, in batches, and twice.

use makegood_contracts::inventory::HoldLine;
use makegood_testing::{SHOP, TestDatabase, job};
use sqlx::PgPool;

use super::*;
use crate::{
    MIGRATOR,
    hold_expiry::{Aside, expire_due},
    invariants::INVARIANTS,
    test_stock::{counters, stock_up},
};

const TTL_SECONDS: u32 = 900;

fn cart(lines: &[(&str, i64)]) -> Job<HoldStock> {
    cart_of(lines, false)
}

/// Of a buyer who has confirmed, or not yet.
fn cart_of(lines: &[(&str, i64)], confirmed: bool) -> Job<HoldStock> {
    let lines = lines.iter().map(|(sku, quantity)| HoldLine { sku: (*sku).to_owned(), quantity: *quantity }).collect();
    job(Uuid::now_v7(), "hold_stock", HoldStock { account: SHOP, lines, confirmed })
}

async fn hold(pool: &PgPool, jobs: &[Job<HoldStock>]) -> anyhow::Result<Vec<Outcome>> {
    let mut tx = pool.begin().await?;
    let outcomes = handle(&mut tx, jobs, TTL_SECONDS).await?;
    tx.commit().await?;
    Ok(outcomes)
}

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_carts_at_once_get_exactly_the_hundred_that_there_are() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    stock_up(&database.db, "near", 1, &[("cup", 60), ("pot", 1_000)]).await;
    stock_up(&database.db, "far", 2, &[("cup", 40), ("pot", 1_000)]).await;
    let mut batches = tokio::task::JoinSet::new();
    for size in [1, 7, 1, 41, 50, 1, 99, 100, 100, 100] {
        let pool = database.db.clone();
        // Lines in either order: the lock order must not depend on the cart's.
        let lines: &[(&str, i64)] = if size % 2 == 0 { &[("cup", 1), ("pot", 1)] } else { &[("pot", 1), ("cup", 1)] };
        let jobs: Vec<_> = std::iter::repeat_with(|| cart(lines)).take(size).collect();
        batches.spawn(async move { hold(&pool, &jobs).await.expect("holds") });
    }
    let outcomes: Vec<Outcome> = batches.join_all().await.into_iter().flatten().collect();
    assert_eq!((outcomes.len(), outcomes.iter().filter(|outcome| is_done(outcome)).count()), (500, 100));
    assert!(
        outcomes
            .iter()
            .all(|outcome| is_done(outcome)
                || matches!(outcome, Outcome::Refused { code, .. } if code == "out_of_stock"))
    );
    assert_eq!(counters(&database.db, "cup").await, (100, 100, 0));
    assert_eq!(counters(&database.db, "pot").await, (2_000, 100, 0));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_batch_is_served_in_order_and_its_lines_add_up() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    stock_up(&database.db, "near", 1, &[("cup", 5)]).await;
    let jobs =
        [cart(&[("cup", 2), ("cup", 1)]), cart(&[("cup", 3)]), cart(&[("cup", 2)]), cart(&[("cup", 1)]), cart(&[])];
    let outcomes = hold(&database.db, &jobs).await.expect("holds");
    assert_eq!(outcomes.iter().map(is_done).collect::<Vec<_>>(), [true, false, true, false, false]);
    assert_eq!(outcomes[1], Outcome::refused("out_of_stock", "cup: wanted 3, available 2"));
    assert_eq!(outcomes[3], Outcome::refused("out_of_stock", "cup: wanted 1, available 0"));
    assert!(matches!(&outcomes[4], Outcome::Refused { code, .. } if code == "invalid_lines"));
    let seconds_left: f64 = sqlx::query_scalar("select extract(epoch from min(expires_at) - now())::float8 from hold")
        .fetch_one(&database.db)
        .await
        .expect("reads the deadline");
    assert!((890.0..=900.0).contains(&seconds_left), "{seconds_left}");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_command_that_comes_twice_holds_once() {
    for confirmed in [false, true] {
        hold_twice(confirmed).await;
    }
}

async fn hold_twice(confirmed: bool) {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    stock_up(&database.db, "near", 1, &[("cup", 5)]).await;
    let first = cart_of(&[("cup", 2)], confirmed);
    let outcome = hold(&database.db, std::slice::from_ref(&first)).await.expect("holds").remove(0);
    // A hold of the saga's own that no barrier row explains: another step took it.
    let again = hold(&database.db, &[first.clone(), cart(&[("cup", 1)])]).await.expect("holds");
    assert!(matches!(again[0], Outcome::Failed { retryable: false, .. }), "{again:?}");
    assert!(is_done(&again[1]));
    let mut conn = database.db.acquire().await.expect("connects");
    barrier::record(&mut conn, &[(&first.key, &outcome)]).await.expect("records");
    drop(conn);
    let error = hold(&database.db, &[first, cart(&[("cup", 1)])]).await.expect_err("the batch is run again without it");
    assert!(error.is::<AlreadyDecided>());
    let counted = if confirmed { (5, 1, 2) } else { (5, 3, 0) };
    assert_eq!(counters(&database.db, "cup").await, counted);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn confirmed_and_open_checkouts_share_a_batch_and_only_open_ones_expire() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    stock_up(&database.db, "near", 1, &[("cup", 5)]).await;
    let cart = |quantity, confirmed| cart_of(&[("cup", quantity)], confirmed);
    let jobs = [cart(2, true), cart(1, false), cart(3, true), cart(1, true), cart(1, false), cart(1, true)];
    let mut tx = database.db.begin().await.expect("begins");
    let outcomes = handle(&mut tx, &jobs, 0).await.expect("holds");
    tx.commit().await.expect("commits");
    assert_eq!(outcomes.iter().map(is_done).collect::<Vec<_>>(), [true, true, false, true, true, false]);
    assert_eq!(counters(&database.db, "cup").await, (5, 2, 3));
    let round = expire_due(&database.db, &mut Aside::default()).await.expect("sweeps");
    assert_eq!((round.expired, counters(&database.db, "cup").await), (2, (5, 0, 3)));
    database.verify_and_drop(INVARIANTS).await;
}
