//! Writing products on a real database, with the invariants over what was written.

use iso_currency::Currency;
use makegood_testing::{SHOP, TestDatabase};
use sqlx::PgPool;

use super::*;
use crate::{MIGRATOR, invariants::INVARIANTS, store::load_page};

fn product(sku: &str, prices: &[Money]) -> Product {
    Product::new(sku.into(), format!("The {sku}"), prices.to_vec(), true).expect("valid")
}

fn gbp(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::GBP)
}

fn usd(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::USD)
}

async fn write(db: &PgPool, products: &[Product]) -> Vec<(Change, i64)> {
    let mut tx = db.begin().await.expect("begins");
    let written = write_products(&mut tx, SHOP, products).await.expect("writes");
    tx.commit().await.expect("commits");
    written.iter().map(|written| (written.change, written.version)).collect()
}

async fn told(db: &PgPool) -> Vec<(String, i64)> {
    sqlx::query_as("select subject, version from event_log order by subject, version")
        .fetch_all(db)
        .await
        .expect("reads")
}

#[tokio::test]
async fn an_import_creates_updates_and_leaves_alone_and_tells_of_changes_only() {
    let database = TestDatabase::create("catalog", &MIGRATOR).await;
    let db = &database.db;
    let first = [product("b", &[gbp(1), usd(2)]), product("a", &[gbp(5)])];
    assert_eq!(write(db, &first).await, [(Change::Created, 1), (Change::Created, 1)]);
    let second = [product("c", &[gbp(7)]), product("a", &[gbp(5)]), product("b", &[usd(3)])];
    assert_eq!(write(db, &second).await, [(Change::Created, 1), (Change::Unchanged, 1), (Change::Updated, 2)]);
    assert_eq!(
        told(db).await,
        [("a", 1), ("b", 1), ("b", 2), ("c", 1)].map(|(sku, version)| (sku.to_owned(), version))
    );

    let page = load_page(db, SHOP, "a", 10).await.expect("loads");
    let prices: Vec<_> =
        page.iter().map(|found| (found.product.sku(), found.product.prices().collect::<Vec<_>>())).collect();
    assert_eq!(prices, [("b", vec![usd(3)]), ("c", vec![gbp(7)])], "the price in pounds of b is gone");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn writers_of_the_same_products_at_once_come_one_after_the_other() {
    let database = TestDatabase::create("catalog", &MIGRATOR).await;
    let db = &database.db;
    let skus: Vec<String> = (0..50).map(|n| format!("sku-{n}")).collect();
    let import = |amount: i64| skus.iter().map(|sku| product(sku, &[gbp(amount)])).collect::<Vec<_>>();
    let backwards = import(2).into_iter().rev().collect::<Vec<_>>();
    let (ones, twos) = (import(1), import(3));
    tokio::join!(write(db, &ones), write(db, &backwards), write(db, &twos));
    let versions: Vec<i64> =
        load_page(db, SHOP, "", 100).await.expect("loads").iter().map(|found| found.version).collect();
    assert_eq!(versions, [3; 50]);
    assert_eq!(told(db).await.len(), 150);
    database.verify_and_drop(INVARIANTS).await;
}
