//! A database of its own for each test, on the server that `MAKEGOOD_TEST_DATABASE_URL` names.

use makegood_chassis::idempotency::Claim;
use makegood_contracts::{
    account::Account,
    cart::PricedLine,
    command::{Direction, StepKey},
    money::Money,
    orchestrator::{Ending, Reason},
    order::{CloseCheckout, Confirmation, EndedCheckout, OpenCheckout},
};
use makegood_messaging::participant::Job;
use serde_json::json;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
    types::Json,
};
use time::macros::datetime;
use uuid::Uuid;

use crate::{
    checkout_accepting::{Accepted, Request, accept},
    checkout_row::{self, CheckoutRow},
    saga_message::RequestedCheckout,
};

static EVERY_SERVICE: Migrator = sqlx::migrate!("../../migrations/every_service");

pub(crate) struct TestDatabase {
    pub(crate) pool: PgPool,
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    pub(crate) async fn create() -> Self {
        let url = std::env::var("MAKEGOOD_TEST_DATABASE_URL")
            .expect("MAKEGOOD_TEST_DATABASE_URL names a PostgreSQL server for tests");
        let server: PgConnectOptions = url.parse().expect("the URL of a PostgreSQL server");
        let name = format!("test_order_{}", Uuid::now_v7().simple());
        run_on_server(&server, format!("create database {name}")).await;
        let pool = PgPoolOptions::new()
            .max_connections(12)
            .connect_with(server.clone().database(&name))
            .await
            .expect("connects");
        for migrator in [&EVERY_SERVICE, &crate::MIGRATOR] {
            let mut migrator = Migrator { migrations: migrator.migrations.clone(), ..Migrator::DEFAULT };
            migrator.set_ignore_missing(true).run(&pool).await.expect("migrates");
        }
        Self { pool, server, name }
    }

    /// Every test ends here: all promises hold over what it left, and the database goes.
    pub(crate) async fn verify_and_drop(self) {
        for invariant in crate::invariants() {
            let broken: Vec<(String, serde_json::Value)> =
                sqlx::query_as(invariant.sql).fetch_all(&self.pool).await.expect(invariant.name);
            assert_eq!(broken, [], "{}", invariant.says);
        }
        self.pool.close().await;
        run_on_server(&self.server, format!("drop database {}", self.name)).await;
    }
}

async fn run_on_server(server: &PgConnectOptions, statement: String) {
    let pool =
        PgPoolOptions::new().max_connections(1).connect_with(server.clone()).await.expect("the test server is there");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.expect("creates or drops a database");
    pool.close().await;
}

pub(crate) fn shop() -> Account {
    Account { id: Uuid::from_u128(7), livemode: false }
}

/// A command of a saga, as the participant hands it to a handler.
pub(crate) fn job<I>(saga_id: Uuid, step: &str, input: I) -> Job<I> {
    let key = StepKey { saga_id, step: step.to_owned(), direction: Direction::Do };
    Job { key, attempt: 1, traceparent: None, reply_to: "reply.0".to_owned(), input }
}

/// A request under `key`, as the front door hands it on; requests with the same key and `body` are equal.
pub(crate) fn request(key: &str, body: &str, confirmation: Option<&str>) -> Request {
    let claim = Claim { account: shop(), key_hash: key.as_bytes().to_vec(), fingerprint: body.as_bytes().to_vec() };
    let checkout = RequestedCheckout {
        id: Uuid::now_v7(),
        order_id: Uuid::now_v7(),
        account_id: shop().id,
        livemode: shop().livemode,
        cart_id: Uuid::now_v7(),
        email: "buyer@example.com".to_owned(),
        shipping_address: json!({"line1": "1 High Street"}),
        shipping_method: "standard".to_owned(),
        expected_total: Some(Json(pounds(1234))),
        reference: Some("ref-1".to_owned()),
        confirmed_in_call: confirmation.is_some(),
        confirmation: confirmation.map(|method| Json(Confirmation { payment_method: method.to_owned() })),
        traceparent: None,
    };
    Request { claim, checkout }
}

/// Accepts a new checkout and returns its id.
pub(crate) async fn accepted(pool: &PgPool, key: &str, confirmation: Option<&str>) -> Uuid {
    let accepted = accept(pool, &[request(key, "body", confirmation)]).await.expect("accepts");
    let [Accepted::New { checkout }] = accepted[..] else { panic!("{accepted:?}") };
    checkout
}

/// The input with which the saga opens a checkout.
pub(crate) fn opening() -> OpenCheckout {
    let line = PricedLine {
        line: "A-1".to_owned(),
        sku: "A-1".to_owned(),
        title: "Kettle".to_owned(),
        quantity: 2,
        unit_price_minor: 617,
    };
    OpenCheckout {
        lines: vec![line],
        total: pounds(1234),
        hold_expires_at: datetime!(2100-01-01 00:00:00.123456789 UTC),
    }
}

/// The saga's end, with the reason it was undone for: its step and code.
pub(crate) fn ending(
    checkout: Uuid,
    undone_for: Option<(&str, &str)>,
    shipment_ids: Option<Vec<Uuid>>,
) -> CloseCheckout {
    let reason = undone_for.map(|(step, code)| Reason {
        step: step.to_owned(),
        code: code.to_owned(),
        detail: "No.".to_owned(),
    });
    let ended = if reason.is_some() { Ending::Compensated } else { Ending::Completed };
    CloseCheckout { ended, reason, input: EndedCheckout { checkout_id: checkout, shipment_ids } }
}

/// The checkout as it is.
pub(crate) async fn checkout(pool: &PgPool, id: Uuid) -> CheckoutRow {
    checkout_row::load(pool, shop(), id).await.expect("loads").expect("is there")
}

pub(crate) fn pounds(pence: i64) -> Money {
    Money::from_columns(pence, "GBP").expect("a currency")
}
