//! A database of its own for each test, on the server that `MAKEGOOD_TEST_DATABASE_URL` names.

use makegood_chassis::invariant::Invariant;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

static EVERY_SERVICE: Migrator = sqlx::migrate!("../../migrations/every_service");

/// Enough for tests that contend on purpose.
const MAX_CONNECTIONS: u32 = 12;

/// A migrated database. The database of a failed test stays, for a look.
pub struct TestDatabase {
    pub db: PgPool,
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    /// Creates and migrates it: what every service has, and the service's own.
    pub async fn create(service: &str, own: &Migrator) -> Self {
        let url = std::env::var("MAKEGOOD_TEST_DATABASE_URL")
            .expect("MAKEGOOD_TEST_DATABASE_URL names a PostgreSQL server on which tests may create databases");
        let server: PgConnectOptions =
            url.parse().expect("MAKEGOOD_TEST_DATABASE_URL is the URL of a PostgreSQL server");
        let name = format!("test_{service}_{}", Uuid::now_v7().simple());
        run(&server, format!("create database {name}")).await;
        let options = server.clone().database(&name);
        let db = PgPoolOptions::new().max_connections(MAX_CONNECTIONS).connect_with(options).await.expect("connects");
        for migrator in [&EVERY_SERVICE, own] {
            // Both keep their versions in the same table, and each finds the other's there.
            let mut migrator = Migrator { migrations: migrator.migrations.clone(), ..Migrator::DEFAULT };
            migrator.set_ignore_missing(true).run(&db).await.expect("migrates");
        }
        Self { db, server, name }
    }

    /// Fails the test unless the promises hold over what it has done so far.
    pub async fn verify(&self, invariants: &[Invariant]) {
        for invariant in invariants {
            let broken: Vec<(String, serde_json::Value)> =
                sqlx::query_as(invariant.sql).fetch_all(&self.db).await.expect(invariant.name);
            assert!(broken.is_empty(), "{}: {broken:?}", invariant.says);
        }
    }

    /// The end of a test: the promises hold over what it left, and the database goes. The test has returned all its
    /// connections, or this waits for them.
    pub async fn verify_and_drop(self, invariants: &[Invariant]) {
        self.verify(invariants).await;
        self.db.close().await;
        run(&self.server, format!("drop database {} with (force)", self.name)).await;
    }
}

async fn run(server: &PgConnectOptions, statement: String) {
    let mut connection = PgConnection::connect_with(server).await.expect("the test server is there");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.expect("creates or drops a database");
}
