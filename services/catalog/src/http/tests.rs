//! The routes of products on a real database, as a shop's server and a buyer's browser use them.

use axum::http::{Method, StatusCode, header};
use makegood_testing::{ShopApi, TestDatabase};
use serde_json::{Value, json};

use crate::{MIGRATOR, invariants::INVARIANTS};

async fn put(shop: &ShopApi, headers: &[(&str, &str)], body: Value) -> (StatusCode, Value) {
    let (status, _, body) = shop.send(&shop.server, (Method::PUT, "/v1/products/lantern"), headers, body).await;
    (status, body)
}

fn lantern(amount: &str) -> Value {
    json!({"title": "Lantern", "prices": [{"amount": amount, "currency": "GBP"}]})
}

#[tokio::test]
async fn a_product_is_put_under_its_version_and_read_by_those_of_its_shop() {
    let database = TestDatabase::create("catalog", &MIGRATOR).await;
    let db = &database.db;
    let shop = ShopApi::open(db, super::router).await;
    assert_eq!(put(&shop, &[("if-match", "*")], lantern("2.50")).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(put(&shop, &[], lantern("2.50")).await.0, StatusCode::CREATED);
    let (status, again) = put(&shop, &[], lantern("2.50")).await;
    assert_eq!((status, &again["version"]), (StatusCode::OK, &json!(1)));
    assert_eq!(put(&shop, &[("if-match", "\"1\"")], lantern("3.00")).await.1["version"], 2);
    assert_eq!(put(&shop, &[("if-match", "\"1\"")], lantern("4.00")).await.0, StatusCode::PRECONDITION_FAILED);
    let (status, problem) = put(&shop, &[], lantern("-1.00")).await;
    assert_eq!((status, &problem["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/prices/0/amount")));
    let told: Vec<i64> =
        sqlx::query_scalar("select version from event_log order by version").fetch_all(db).await.expect("reads");
    assert_eq!(told, [1, 2], "refused and unchanged ones tell nothing");

    let path = (Method::GET, "/v1/products/lantern");
    let (status, headers, product) = shop.send(&shop.storefront, path.clone(), &[], Value::Null).await;
    assert_eq!((status, &product["prices"][0]["amount"]), (StatusCode::OK, &json!("3.00")));
    let tag = headers[header::ETAG].to_str().expect("text");
    assert_eq!(
        shop.send(&shop.storefront, path.clone(), &[("if-none-match", tag)], Value::Null).await.0,
        StatusCode::NOT_MODIFIED
    );
    assert_eq!(shop.send(&shop.stranger, path, &[], Value::Null).await.0, StatusCode::NOT_FOUND);
    let put = (Method::PUT, "/v1/products/lantern");
    assert_eq!(shop.send(&shop.storefront, put, &[], lantern("1.00")).await.0, StatusCode::FORBIDDEN);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_is_listed_page_by_page() {
    let database = TestDatabase::create("catalog", &MIGRATOR).await;
    let db = &database.db;
    let shop = ShopApi::open(db, super::router).await;
    let product = |sku: &str| json!({"sku": sku, "title": "T", "prices": [{"amount": "1", "currency": "JPY"}]});
    let import = async |skus: &[&str], key: &str| {
        let body = json!({"products": skus.iter().map(|sku| product(sku)).collect::<Vec<_>>()});
        shop.send(&shop.server, (Method::POST, "/v1/products:import"), &[("idempotency-key", key)], body).await
    };
    let (status, _, problem) = import(&["a", "b", "a"], "1").await;
    assert_eq!((status, &problem["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/products/2/sku")));
    let (status, _, imported) = import(&["c", "a", "b"], "2").await;
    assert_eq!(
        (status, &imported["data"][0]),
        (StatusCode::OK, &json!({"sku": "c", "version": 1, "result": "created"}))
    );
    assert_eq!(import(&["c", "a", "b"], "2").await.2, imported, "the same key, the same answer");
    assert_eq!(import(&["c"], "3").await.2["data"][0]["result"], "unchanged");

    let page = async |query: &str| {
        let (_, _, page) =
            shop.send(&shop.storefront, (Method::GET, &format!("/v1/products?{query}")), &[], Value::Null).await;
        let skus: Vec<Value> =
            page["data"].as_array().into_iter().flatten().map(|product| product["sku"].clone()).collect();
        (Value::from(skus), page["next"].clone())
    };
    assert_eq!(page("limit=2").await, (json!(["a", "b"]), json!("b")));
    assert_eq!(page("limit=2&after=b").await, (json!(["c"]), Value::Null));
    let (status, _, _) = shop.send(&shop.storefront, (Method::GET, "/v1/products?limit=0"), &[], Value::Null).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    database.verify_and_drop(INVARIANTS).await;
}
