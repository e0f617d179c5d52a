//! A database of its own for each test, with the schema that the service runs on.

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::MIGRATOR;

static EVERY_SERVICE: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/every_service");

/// Runs the test on a fresh database and drops it afterwards; the database of a failed test is kept for a look.
pub(crate) async fn with_database(test: impl AsyncFnOnce(PgPool)) {
    let server = std::env::var("MAKEGOOD_TEST_DATABASE_URL")
        .expect("MAKEGOOD_TEST_DATABASE_URL names a server on which tests may create databases");
    let name = format!("test_catalog_{}", Uuid::now_v7().simple());
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
