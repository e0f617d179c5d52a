//! Stock that tests begin with, and what became of it.

use makegood_testing::SHOP;
use sqlx::PgPool;

/// A warehouse of the shop with so much of each SKU in it.
pub(crate) async fn stock_up(pool: &PgPool, code: &str, priority: i32, stock: &[(&str, i64)]) {
    let (skus, quantities): (Vec<&str>, Vec<i64>) = stock.iter().copied().unzip();
    sqlx::query(
        r"
        with place as (
            insert into warehouse (account_id, livemode, code, priority) values ($1, $2, $3, $4) returning id
        ), given as (
            select * from unnest($5::text[], $6::bigint[]) as t (sku, quantity)
        ), kept as (
            insert into stock_receipt (account_id, livemode, sku, warehouse_id, quantity, actor)
            select $1, $2, sku, place.id, quantity, 'test' from given, place
        )
        insert into stock (account_id, livemode, sku, warehouse_id, on_hand)
        select $1, $2, sku, place.id, quantity from given, place
        ",
    )
    .bind(SHOP.id)
    .bind(SHOP.livemode)
    .bind(code)
    .bind(priority)
    .bind(skus)
    .bind(quantities)
    .execute(pool)
    .await
    .expect("stocks up");
}

/// (on hand, held, allocated) of a SKU over all warehouses.
pub(crate) async fn counters(pool: &PgPool, sku: &str) -> (i64, i64, i64) {
    sqlx::query_as("select sum(on_hand)::bigint, sum(held)::bigint, sum(allocated)::bigint from stock where sku = $1")
        .bind(sku)
        .fetch_one(pool)
        .await
        .expect("reads stock")
}
