//! The projection on a real database: whatever comes in whatever order, the newest event stands.

use iso_currency::Currency;
use makegood_contracts::money::Money;
use makegood_testing::TestDatabase;

use crate::{
    MIGRATOR,
    invariants::INVARIANTS,
    test_prices::{apply, priced},
};

#[tokio::test]
async fn the_newest_event_stands_whatever_order_they_come_in() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let db = &database.db;
    let event =
        |version, minor_units, active| priced("lantern", version, Money::new(minor_units, Currency::GBP), active);
    apply(db, &[event(2, 200, true), event(3, 300, true), event(1, 100, true)]).await;
    apply(db, &[event(2, 200, true), event(1, 100, false)]).await;
    let known: (i64, String, bool, i64) =
        sqlx::query_as("select version, title, active, (prices ->> 'GBP')::bigint from price")
            .fetch_one(db)
            .await
            .expect("one product");
    assert_eq!(known, (3, "lantern v3".to_owned(), true, 300));
    apply(db, &[event(4, 0, false)]).await;
    let active: bool = sqlx::query_scalar("select active from price").fetch_one(db).await.expect("one product");
    assert!(!active, "withdrawn");
    database.verify_and_drop(INVARIANTS).await;
}
