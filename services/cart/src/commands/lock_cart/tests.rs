//! Lock, unlock and close on a real database.

use iso_currency::Currency;
use makegood_contracts::{
    cart::{LockedCart, PricedCart},
    money::Money,
};
use makegood_testing::{SHOP, TestDatabase};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::*;
use crate::{
    MIGRATOR,
    cart::{NewCart, State},
    cart_creation::make_carts,
    commands::{close_cart, unlock_cart},
    invariants::INVARIANTS,
    pricing::WantedLine,
    store::load_cart,
    test_prices::{apply, priced},
};

const CHECKOUT: u128 = 1;
const OTHER_CHECKOUT: u128 = 2;

/// A command of the checkout with this number.
fn job<I>(checkout: u128, input: I) -> Job<I> {
    makegood_testing::job(Uuid::from_u128(checkout), "step", input)
}

fn gbp(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::GBP)
}

fn wanted(sku: &str, quantity: i64, own_price_minor: Option<i64>) -> WantedLine {
    WantedLine { name: sku.into(), sku: sku.into(), quantity, own_price_minor }
}

async fn make_cart(db: &PgPool, lines: Vec<WantedLine>) -> Uuid {
    let id = Uuid::now_v7();
    let cart = NewCart { id, account: SHOP, currency: Currency::GBP, created_at: OffsetDateTime::UNIX_EPOCH, lines };
    let mut conn = db.acquire().await.expect("a connection");
    let made = make_carts(&mut conn, vec![cart]).await.expect("the statement runs");
    made.into_iter().for_each(|cart| assert!(cart.is_ok(), "{cart:?}"));
    id
}

/// A lantern at 2.50 and a candle at 1.00.
async fn fill_catalog(db: &PgPool) {
    apply(db, &[priced("lantern", 1, gbp(250), true), priced("candle", 1, gbp(100), true)]).await;
}

fn lock(cart_id: Uuid, expected_total: Option<Money>) -> LockCart {
    LockCart { account: SHOP, cart_id, expected_total }
}

async fn lock_all(db: &PgPool, jobs: &[Job<LockCart>]) -> Vec<Outcome> {
    let mut tx = db.begin().await.expect("begins");
    let outcomes = handle(&mut tx, jobs).await.expect("handles");
    tx.commit().await.expect("commits");
    outcomes
}

fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done { .. } => "done",
        Outcome::Refused { code, .. } => code,
        Outcome::Pending { .. } => "pending",
        Outcome::Failed { .. } => "failed",
    }
}

async fn state(db: &PgPool, id: Uuid) -> State {
    load_cart(db, SHOP, id).await.expect("loads").expect("exists").state
}

#[tokio::test]
async fn a_batch_locks_what_it_can_and_refuses_the_rest_one_by_one() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let db = &database.db;
    fill_catalog(db).await;
    let good = make_cart(db, vec![wanted("lantern", 2, None), wanted("candle", 1, Some(5))]).await;
    let empty = make_cart(db, vec![]).await;
    let withdrawn = make_cart(db, vec![wanted("candle", 1, None)]).await;
    apply(db, &[priced("lantern", 2, gbp(300), true), priced("candle", 2, gbp(100), false)]).await;
    let own_price_withdrawn = code(&lock_all(db, &[job(9, lock(good, None))]).await[0]).to_owned();
    assert_eq!(own_price_withdrawn, "product_unavailable");
    apply(db, &[priced("candle", 3, gbp(100), true)]).await;

    let stranger =
        LockCart { account: makegood_contracts::account::Account { livemode: true, ..SHOP }, ..lock(good, None) };
    let outcomes = lock_all(
        db,
        &[
            job(3, lock(good, Some(gbp(505)))),
            job(4, stranger),
            job(CHECKOUT, lock(good, Some(gbp(605)))),
            job(OTHER_CHECKOUT, lock(good, None)),
            job(5, lock(empty, None)),
            job(6, lock(Uuid::now_v7(), None)),
            job(7, lock(withdrawn, Some(Money::new(100, Currency::USD)))),
        ],
    )
    .await;
    let codes: Vec<&str> = outcomes.iter().map(code).collect();
    assert_eq!(
        codes,
        ["cart_changed", "cart_not_found", "done", "cart_locked", "cart_empty", "cart_not_found", "currency_mismatch"]
    );

    let Outcome::Done { output } = &outcomes[2] else { panic!("{outcomes:?}") };
    let output: PricedCart = serde_json::from_value(output.clone()).expect("a priced cart");
    let prices: Vec<_> =
        output.lines.iter().map(|line| (line.line.as_str(), line.unit_price_minor, line.title.as_str())).collect();
    assert_eq!(prices, [("candle", 5, "candle v3"), ("lantern", 300, "lantern v2")]);
    let stored = load_cart(db, SHOP, good).await.expect("loads").expect("exists");
    assert_eq!(
        (stored.state, stored.version, stored.total()),
        (State::Locked { by: Uuid::from_u128(CHECKOUT) }, 2, Ok(gbp(605)))
    );
    assert_eq!(state(db, empty).await, State::Open);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn of_two_checkouts_at_once_exactly_one_gets_the_cart() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let db = &database.db;
    fill_catalog(db).await;
    let cart = make_cart(db, vec![wanted("lantern", 1, None)]).await;
    let first = [job(CHECKOUT, lock(cart, None))];
    let second = [job(OTHER_CHECKOUT, lock(cart, None))];
    let (first, second) = tokio::join!(lock_all(db, &first), lock_all(db, &second));
    let mut codes = [code(&first[0]), code(&second[0])];
    codes.sort_unstable();
    assert_eq!(codes, ["cart_locked", "done"]);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn only_the_checkout_that_holds_a_cart_unlocks_or_closes_it() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let db = &database.db;
    fill_catalog(db).await;
    let cart = make_cart(db, vec![wanted("lantern", 1, None)]).await;
    let held = || LockedCart { cart_id: cart };
    let mut conn = db.acquire().await.expect("a connection");

    lock_all(db, &[job(CHECKOUT, lock(cart, None))]).await;
    unlock_cart::handle(&mut conn, &[job(OTHER_CHECKOUT, held())]).await.expect("handles");
    assert_eq!(state(db, cart).await, State::Locked { by: Uuid::from_u128(CHECKOUT) });
    unlock_cart::handle(&mut conn, &[job(OTHER_CHECKOUT, held()), job(CHECKOUT, held())]).await.expect("handles");
    assert_eq!(state(db, cart).await, State::Open);

    lock_all(db, &[job(OTHER_CHECKOUT, lock(cart, None))]).await;
    for _ in 0..2 {
        let closed = close_cart::handle(&mut conn, &[job(CHECKOUT, held()), job(OTHER_CHECKOUT, held())])
            .await
            .expect("handles");
        assert_eq!(closed.iter().map(code).collect::<Vec<_>>(), ["failed", "done"]);
    }
    let closed = load_cart(db, SHOP, cart).await.expect("loads").expect("exists");
    assert_eq!((closed.state, closed.version), (State::Closed { by: Uuid::from_u128(OTHER_CHECKOUT) }, 5));
    unlock_cart::handle(&mut conn, &[job(OTHER_CHECKOUT, held())]).await.expect("handles");
    assert_eq!(state(db, cart).await, closed.state, "a closed cart is not unlocked");
    assert_eq!(code(&lock_all(db, &[job(CHECKOUT, lock(cart, None))]).await[0]), "cart_closed");
    drop(conn);
    database.verify_and_drop(INVARIANTS).await;
}
