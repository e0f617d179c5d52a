//! A database of its own for each test, with the schema that the service runs on.

use makegood_contracts::{
    account::Account,
    catalog::{PRODUCT_PRICED, ProductPriced},
    command::{Direction, StepKey},
    event::Event,
    money::Money,
};
use makegood_messaging::participant::Job;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{MIGRATOR, price_projection};

pub(crate) const SHOP: Account = Account { id: Uuid::from_u128(0x5409), livemode: false };

static EVERY_SERVICE: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/every_service");

/// Runs the test on a fresh database and drops it afterwards; the database of a failed test is kept for a look.
pub(crate) async fn with_database(test: impl AsyncFnOnce(PgPool)) {
    let server = std::env::var("MAKEGOOD_TEST_DATABASE_URL")
        .expect("MAKEGOOD_TEST_DATABASE_URL names a server on which tests may create databases");
    let name = format!("test_cart_{}", Uuid::now_v7().simple());
    let mut admin = PgConnection::connect(&server).await.expect("connects to the server");
    sqlx::query(AssertSqlSafe(format!("create database {name}")))
        .execute(&mut admin)
        .await
        .expect("creates the database");

    let options = server.parse::<sqlx::postgres::PgConnectOptions>().expect("a URL of PostgreSQL").database(&name);
    let db = PgPoolOptions::new().max_connections(4).connect_with(options).await.expect("connects to the database");
    for migrator in [&EVERY_SERVICE, &MIGRATOR] {
        sqlx::migrate::Migrator {
            ignore_missing: true,
            migrations: migrator.migrations.clone(),
            ..sqlx::migrate::Migrator::DEFAULT
        }
        .run(&db)
        .await
        .expect("migrates");
    }
    test(db.clone()).await;
    db.close().await;
    sqlx::query(AssertSqlSafe(format!("drop database {name} with (force)")))
        .execute(&mut admin)
        .await
        .expect("drops the database");
}

/// A command of the saga as messaging would hand it to a handler.
pub(crate) fn job<I>(saga: u128, input: I) -> Job<I> {
    let key = StepKey { saga_id: Uuid::from_u128(saga), step: "step".into(), direction: Direction::Do };
    Job { key, attempt: 1, traceparent: None, reply_to: "reply.0".into(), input }
}

/// The event that a product of the test shop costs this much by now.
pub(crate) fn priced(sku: &str, version: i64, price: Money, active: bool) -> Event {
    let product = ProductPriced { sku: sku.into(), title: format!("{sku} v{version}"), prices: vec![price], active };
    Event {
        id: Uuid::now_v7(),
        name: PRODUCT_PRICED.into(),
        account: SHOP,
        subject: sku.into(),
        version,
        occurred_at: OffsetDateTime::UNIX_EPOCH,
        data: serde_json::to_value(product).expect("serializes"),
    }
}

/// Applies events as the projection would.
pub(crate) async fn apply(db: &PgPool, events: &[Event]) {
    let mut tx = db.begin().await.expect("begins");
    price_projection::apply(&mut tx, events).await.expect("applies");
    tx.commit().await.expect("commits");
}
