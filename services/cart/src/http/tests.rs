//! The routes of carts on a real database, as a buyer's browser and a shop's server use them.

use axum::http::{HeaderMap, Method, StatusCode, header};
use iso_currency::Currency;
use makegood_contracts::money::Money;
use makegood_testing::{ShopApi, TestDatabase};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    MIGRATOR,
    invariants::INVARIANTS,
    test_prices::{apply, priced},
};

/// A shop that sells three things.
async fn open_shop(db: &PgPool) -> ShopApi {
    let product = |sku, minor_units| priced(sku, 1, Money::new(minor_units, Currency::GBP), true);
    apply(db, &[product("lantern", 250), product("candle", 100), product("gold", i64::MAX)]).await;
    ShopApi::open(db, super::router).await
}

async fn create(shop: &ShopApi, key: &str, headers: &[(&str, &str)], body: Value) -> (StatusCode, HeaderMap, Value) {
    shop.send(key, (Method::POST, "/v1/carts"), headers, body).await
}

fn two_lanterns() -> Value {
    json!({"currency": "GBP", "lines": [{"sku": "lantern", "quantity": 2}]})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_cart_is_made_read_edited_and_kept_from_others() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let db = &database.db;
    let shop = open_shop(db).await;
    let (status, headers, cart) = create(&shop, &shop.storefront, &[], two_lanterns()).await;
    assert_eq!((status, &headers[header::ETAG]), (StatusCode::CREATED, &"\"1\"".parse().expect("a header")));
    assert_eq!((&cart["status"], &cart["total"]), (&json!("open"), &json!({"amount": "5.00", "currency": "GBP"})));
    let path = headers[header::LOCATION].to_str().expect("text").to_owned();
    assert_eq!(path, format!("/v1/carts/{}", text(&cart["id"])));
    assert_eq!(shop.send(&shop.storefront, (Method::GET, &path), &[], Value::Null).await.2, cart);
    assert_eq!(shop.send(&shop.stranger, (Method::GET, &path), &[], Value::Null).await.0, StatusCode::NOT_FOUND);

    let line = format!("{path}/lines/gift");
    let body = json!({"quantity": 3, "sku": "candle", "unit_price": {"amount": "0.50", "currency": "GBP"}});
    assert_eq!(shop.send(&shop.storefront, (Method::PUT, &line), &[], body.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        shop.send(&shop.server, (Method::PUT, &line), &[("if-match", "\"7\"")], body.clone()).await.0,
        StatusCode::PRECONDITION_FAILED
    );
    let (status, headers, cart) = shop.send(&shop.server, (Method::PUT, &line), &[("if-match", "\"1\"")], body).await;
    assert_eq!(
        (status, &cart["total"]["amount"], &headers[header::ETAG]),
        (StatusCode::OK, &json!("6.50"), &"\"2\"".parse().expect("a header"))
    );
    let (_, _, cart) = shop.send(&shop.storefront, (Method::PUT, &line), &[], json!({"quantity": 1})).await;
    assert_eq!(
        (&cart["total"]["amount"], &cart["lines"][0]["sku"]),
        (&json!("6.00"), &json!("candle")),
        "the line keeps its SKU"
    );
    let (status, _, cart) = shop.send(&shop.storefront, (Method::DELETE, &line), &[], Value::Null).await;
    assert_eq!((status, &cart["total"]["amount"], &cart["version"]), (StatusCode::OK, &json!("5.00"), &json!(4)));
    assert_eq!(shop.send(&shop.storefront, (Method::DELETE, &line), &[], Value::Null).await.0, StatusCode::NOT_FOUND);

    sqlx::query("update cart set state = 'locked', locked_by = id").execute(db).await.expect("locks");
    let (status, _, problem) = shop.send(&shop.storefront, (Method::PUT, &line), &[], json!({"quantity": 1})).await;
    assert_eq!((status, text(&problem["type"])), (StatusCode::CONFLICT, "https://makegood.dev/problems/cart-locked"));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_its_place() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let db = &database.db;
    let shop = open_shop(db).await;
    let line = |line: Value| json!({"currency": "GBP", "lines": [{"sku": "candle", "quantity": 1}, line]});
    let usd = json!({"amount": "1.00", "currency": "USD"});
    for (body, kind, pointer) in [
        (line(json!({"sku": "nothing", "quantity": 1})), "unknown-product", "/lines/1/sku"),
        (line(json!({"sku": "a/b", "quantity": 1})), "invalid-request", "/lines/1/sku"),
        (line(json!({"sku": "lantern", "quantity": 0})), "invalid-request", "/lines/1/quantity"),
        (line(json!({"sku": "candle", "quantity": 1})), "invalid-request", "/lines/1/line"),
        (
            line(json!({"sku": "lantern", "quantity": 1, "unit_price": usd})),
            "invalid-request",
            "/lines/1/unit_price/currency",
        ),
        (line(json!({"sku": "gold", "quantity": 2})), "total-overflow", "/lines"),
        (json!({"currency": "XAU"}), "invalid-request", "/currency"),
        (json!({"currency": "USD", "lines": [{"sku": "candle", "quantity": 1}]}), "unknown-product", "/lines/0/sku"),
    ] {
        let (status, _, problem) = create(&shop, &shop.server, &[], body.clone()).await;
        let expected = (StatusCode::UNPROCESSABLE_ENTITY, format!("https://makegood.dev/problems/{kind}"), pointer);
        assert_eq!((status, text(&problem["type"]).to_owned(), text(&problem["pointer"])), expected, "{body}");
    }
    let made: i64 = sqlx::query_scalar("select count(*) from cart").fetch_one(db).await.expect("counts");
    assert_eq!(made, 0);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn many_edits_at_once_all_find_their_turn() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let shop = open_shop(&database.db).await;
    let (_, headers, _) = create(&shop, &shop.storefront, &[], two_lanterns()).await;
    let path = headers[header::LOCATION].to_str().expect("text").to_owned();
    let edits = (1..=12).map(|quantity| {
        let (shop, line) = (&shop, format!("{path}/lines/candle"));
        async move { shop.send(&shop.storefront, (Method::PUT, &line), &[], json!({"quantity": quantity})).await.0 }
    });
    assert_eq!(futures::future::join_all(edits).await, [StatusCode::OK; 12]);
    let cart = shop.send(&shop.storefront, (Method::GET, &path), &[], Value::Null).await.2;
    assert_eq!((&cart["version"], cart["lines"].as_array().map(Vec::len)), (&json!(13), Some(2)));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_key_makes_one_cart_and_requests_without_one_make_a_cart_each() {
    let database = TestDatabase::create("cart", &MIGRATOR).await;
    let db = &database.db;
    let shop = open_shop(db).await;
    let with_key = || create(&shop, &shop.storefront, &[("idempotency-key", "k")], two_lanterns());
    let (first, second) = tokio::join!(with_key(), with_key());
    assert_eq!((first.0, &first.2), (StatusCode::CREATED, &second.2));
    assert_eq!(first.1[header::ETAG], second.1[header::ETAG]);

    let without_key = || create(&shop, &shop.storefront, &[], two_lanterns());
    let unknown =
        create(&shop, &shop.storefront, &[], json!({"currency": "GBP", "lines": [{"sku": "nothing", "quantity": 1}]}));
    let (a, b, c, unknown) = tokio::join!(without_key(), without_key(), without_key(), unknown);
    assert_eq!(
        [a.0, b.0, c.0, unknown.0],
        [StatusCode::CREATED, StatusCode::CREATED, StatusCode::CREATED, StatusCode::UNPROCESSABLE_ENTITY]
    );
    let many: Vec<Value> = (0..150).map(|n| json!({"sku": "candle", "quantity": 1, "line": format!("l{n}")})).collect();
    assert_eq!(
        create(&shop, &shop.storefront, &[], json!({"currency": "GBP", "lines": many})).await.0,
        StatusCode::CREATED
    );
    let made: Vec<i64> = sqlx::query_scalar("select count(*) from cart_line group by cart_id order by 1")
        .fetch_all(db)
        .await
        .expect("counts");
    assert_eq!(made, [1, 1, 1, 1, 150]);
    database.verify_and_drop(INVARIANTS).await;
}
