//! A database of its own for each test, on the server that `MAKEGOOD_TEST_DATABASE_URL` names.

use makegood_contracts::{
    account::Account,
    command::{Direction, StepKey},
};
use makegood_messaging::participant::Job;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

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
        let name = format!("test_inventory_{}", Uuid::now_v7().simple());
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
    .bind(shop().id)
    .bind(shop().livemode)
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
