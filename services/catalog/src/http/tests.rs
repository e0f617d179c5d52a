//! The routes of products on a real database, as a shop's server and a buyer's browser use them.

use std::path::PathBuf;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use makegood_chassis::{
    auth::{ApiKeys, Scope},
    clock::DbClock,
    http::HttpContext,
    secret::Secret,
    shutdown::Shutdown,
};
use makegood_contracts::account::Account;
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::test_database::with_database;

const SHOP: Account = Account { id: Uuid::from_u128(0x5409), livemode: false };

/// The routes, and a key of each kind of caller.
struct Shop {
    router: Router,
    keys_directory: PathBuf,
    storefront: String,
    server: String,
    stranger: String,
}

impl Drop for Shop {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.keys_directory).expect("the directory of the test's keys is still there");
    }
}

impl Shop {
    async fn open(db: &PgPool) -> Self {
        let secret = Secret::new("a root secret of the tests, long enough").expect("long enough");
        let directory = std::env::temp_dir().join(format!("makegood-catalog-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&directory).expect("a directory of the test's own");
        let path = directory.join("keys");
        let key = |account, scopes: &[Scope]| ApiKeys::create(&path, &secret, account, scopes, "test").expect("a key");
        let storefront = key(SHOP, &[Scope::Storefront]);
        let server = key(SHOP, &[Scope::Storefront, Scope::Server]);
        let stranger = key(Account { livemode: true, ..SHOP }, &[Scope::Storefront]);
        let keys = ApiKeys::load(&path, &secret).expect("reads the keys");
        let clock = DbClock::measure(db).await.expect("a clock");
        let router = super::router(HttpContext { db: db.clone(), clock, keys, secret, shutdown: Shutdown::default() });
        Self { router, keys_directory: directory, storefront, server, stranger }
    }

    async fn send(
        &self,
        key: &str,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: Value,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request =
            Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
        request = request.header(header::CONTENT_TYPE, "application/json");
        request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::from(body.to_string())).expect("a request"))
            .await
            .expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn put(&self, headers: &[(&str, &str)], body: Value) -> (StatusCode, Value) {
        let (status, _, body) = self.send(&self.server, (Method::PUT, "/v1/products/lantern"), headers, body).await;
        (status, body)
    }
}

fn lantern(amount: &str) -> Value {
    json!({"title": "Lantern", "prices": [{"amount": amount, "currency": "GBP"}]})
}

#[tokio::test]
async fn a_product_is_put_under_its_version_and_read_by_those_of_its_shop() {
    with_database(async |db| {
        let shop = Shop::open(&db).await;
        assert_eq!(shop.put(&[("if-match", "*")], lantern("2.50")).await.0, StatusCode::PRECONDITION_FAILED);
        assert_eq!(shop.put(&[], lantern("2.50")).await.0, StatusCode::CREATED);
        let (status, again) = shop.put(&[], lantern("2.50")).await;
        assert_eq!((status, &again["version"]), (StatusCode::OK, &json!(1)));
        assert_eq!(shop.put(&[("if-match", "\"1\"")], lantern("3.00")).await.1["version"], 2);
        assert_eq!(shop.put(&[("if-match", "\"1\"")], lantern("4.00")).await.0, StatusCode::PRECONDITION_FAILED);
        let (status, problem) = shop.put(&[], lantern("-1.00")).await;
        assert_eq!((status, &problem["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/prices/0/amount")));
        let told: Vec<i64> =
            sqlx::query_scalar("select version from event_log order by version").fetch_all(&db).await.expect("reads");
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
    })
    .await;
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_is_listed_page_by_page() {
    with_database(async |db| {
        let shop = Shop::open(&db).await;
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
    })
    .await;
}
