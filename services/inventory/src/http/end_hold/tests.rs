//! Ending holds by hand, on a real database.

use axum::http::Method;
use makegood_contracts::id::CheckoutId;
use makegood_testing::{ShopApi, TestDatabase};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    MIGRATOR,
    http::router,
    invariants::INVARIANTS,
    test_stock::{counters, stock_up},
};

/// Three cups of a checkout, as its steps would have left them.
async fn held(pool: &PgPool, state: &str) -> Uuid {
    let id = Uuid::now_v7();
    let counter = if state == "held" { "held" } else { "allocated" };
    for sql in [
        format!(
            "insert into hold (id, account_id, livemode, state, expires_at, skus, warehouse_ids, quantities)
             select $1, account_id, livemode, '{state}', case when '{state}' = 'held' then now() + interval '1 hour' end,
                    array['cup'], array[id], array[3] from warehouse"
        ),
        format!("update stock set {counter} = {counter} + 3 where $1::uuid is not null"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).execute(pool).await.expect("holds");
    }
    id
}

async fn end(api: &ShopApi, key: &str, id: Uuid, verb: &str, reason: &str) -> (u16, Value) {
    let path = format!("/v1/admin/holds/{}/{verb}", CheckoutId::from_uuid(id));
    let (status, _, body) = api.send(key, (Method::POST, &path), &[], json!({ "reason": reason })).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn an_operator_ends_what_a_saga_went_on_without() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 10)]).await;
    let api = ShopApi::open(pool, router).await;
    let admin = &api.admin;

    let sold = held(pool, "allocated").await;
    let (status, told) = end(&api, admin, sold, "commit", "skipped during the outage, ticket 4711").await;
    assert_eq!((status, &told["state"]), (200, &json!("committed")));
    assert_eq!(told["lines"], json!([{"sku": "cup", "warehouse": "near", "quantity": 3}]));
    assert_eq!(told["ended_by"]["reason"], "skipped during the outage, ticket 4711");
    assert_eq!(counters(pool, "cup").await, (7, 0, 0));
    assert_eq!(
        end(&api, admin, sold, "commit", "once more").await,
        (200, told),
        "the first one's name and reason stay"
    );
    assert_eq!(end(&api, admin, sold, "release", "not sold").await.0, 409, "what is sold comes back as a return");

    let given_back = held(pool, "held").await;
    assert_eq!(end(&api, admin, given_back, "commit", "sold").await.0, 409, "nothing was promised to an order yet");
    assert_eq!(end(&api, admin, given_back, "release", "called off").await.0, 200);
    assert_eq!(counters(pool, "cup").await, (7, 0, 0));

    let path = format!("/v1/admin/holds/{}", CheckoutId::from_uuid(given_back));
    let (status, _, read) = api.send(admin, (Method::GET, &path), &[], Value::Null).await;
    assert_eq!((status.as_u16(), &read["state"], &read["expires_at"]), (200, &json!("released"), &Value::Null));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn only_the_shops_operator_does_it_with_a_reason_and_to_a_hold_that_is_there() {
    let database = TestDatabase::create("inventory", &MIGRATOR).await;
    let pool = &database.db;
    stock_up(pool, "near", 1, &[("cup", 10)]).await;
    let api = ShopApi::open(pool, router).await;
    let hold = held(pool, "allocated").await;
    assert_eq!(end(&api, &api.server, hold, "commit", "sold").await.0, 403);
    assert_eq!(end(&api, &api.admin, hold, "commit", " - ").await.0, 422);
    assert_eq!(end(&api, &api.admin, Uuid::now_v7(), "commit", "sold").await.0, 404);
    let path = format!("/v1/admin/holds/{}", CheckoutId::from_uuid(hold));
    let (status, _, _) = api.send(&api.stranger, (Method::GET, &path), &[], Value::Null).await;
    assert_eq!(status.as_u16(), 404, "another account's hold is not there");
    assert_eq!(counters(pool, "cup").await, (10, 0, 3));
    database.verify_and_drop(INVARIANTS).await;
}
