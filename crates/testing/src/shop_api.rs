//! A service's routes as a shop's callers reach them: requests in memory, with a key of each kind of caller.

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
use serde_json::Value;
use sqlx::PgPool;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::SHOP;

/// The routes, and who calls them.
pub struct ShopApi {
    pub router: Router,
    pub secret: Secret,
    /// The key of a buyer's browser.
    pub storefront: String,
    /// The key of the shop's server.
    pub server: String,
    /// The key of the shop's operator.
    pub admin: String,
    /// A server's key of another account: of the shop in live mode.
    pub stranger: String,
    /// The file in it is looked at again while the routes are in use.
    keys_directory: PathBuf,
}

impl Drop for ShopApi {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.keys_directory).expect("the directory of the test's keys is still there");
    }
}

impl ShopApi {
    /// Opens the routes that are made of the context.
    pub async fn open(db: &PgPool, routes: impl FnOnce(HttpContext) -> Router) -> Self {
        let secret = Secret::new("a root secret of the tests, long enough").expect("long enough");
        let keys_directory = std::env::temp_dir().join(format!("makegood-test-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&keys_directory).expect("a directory of the test's own");
        let path = keys_directory.join("keys");
        let key = |account, scopes: &[Scope]| ApiKeys::create(&path, &secret, account, scopes, "test").expect("a key");
        let storefront = key(SHOP, &[Scope::Storefront]);
        let server = key(SHOP, &[Scope::Storefront, Scope::Server]);
        let admin = key(SHOP, &[Scope::Admin]);
        let stranger = key(Account { livemode: true, ..SHOP }, &[Scope::Storefront, Scope::Server]);
        let keys = ApiKeys::load(&path, &secret).expect("reads the keys");
        let clock = DbClock::measure(db).await.expect("a clock");
        let context =
            HttpContext { db: db.clone(), clock, keys, secret: secret.clone(), shutdown: Shutdown::default() };
        Self { router: routes(context), secret, storefront, server, admin, stranger, keys_directory }
    }

    /// Sends a request and reads the answer as JSON; null stands for no body, either way.
    pub async fn send(
        &self,
        key: &str,
        route: (Method, &str),
        headers: &[(&str, &str)],
        body: Value,
    ) -> (StatusCode, HeaderMap, Value) {
        let (status, headers, text) = self.send_for_text(key, route, headers, body).await;
        (status, headers, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Sends a request and returns the answer as it came, byte for byte.
    pub async fn send_for_text(
        &self,
        key: &str,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: Value,
    ) -> (StatusCode, HeaderMap, String) {
        let mut request =
            Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
        request = request.header(header::CONTENT_TYPE, "application/json");
        request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body).expect("a request")).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).expect("UTF-8"))
    }
}
