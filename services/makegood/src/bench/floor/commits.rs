//! Commits of one row per second, in a database of their own that is dropped afterwards.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::Instant;

use super::Rate;

pub(super) async fn measure(database_url: &str, clients: &[usize], each: Duration) -> anyhow::Result<Vec<Rate>> {
    let server: PgConnectOptions = database_url.parse().context("DATABASE_URL")?;
    let server = server.application_name("makegood-bench");
    let mut admin = server.connect().await.context("connecting to PostgreSQL")?;
    let name = format!("makegood_bench_{}", uuid::Uuid::now_v7().simple());
    sqlx::query(AssertSqlSafe(format!("create database {name}")))
        .execute(&mut admin)
        .await
        .context("creating a scratch database")?;
    let rates = measure_in(&server.database(&name), clients, each).await;
    sqlx::query(AssertSqlSafe(format!("drop database {name} with (force)")))
        .execute(&mut admin)
        .await
        .context("dropping the scratch database")?;
    admin.close().await?;
    rates
}

async fn measure_in(scratch: &PgConnectOptions, clients: &[usize], each: Duration) -> anyhow::Result<Vec<Rate>> {
    let mut connection = scratch.connect().await?;
    sqlx::query(
        "create table commit_floor (id bigint generated always as identity primary key, client integer not null)",
    )
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    let mut rates = Vec::new();
    for wanted in clients {
        let connections = connect(scratch, *wanted).await?;
        let at_once = connections.len();
        let begin = Instant::now();
        let counts = futures::future::try_join_all(
            (0..).zip(connections).map(|(client, connection)| commit(connection, client, begin + each)),
        )
        .await?;
        rates.push(Rate::of(at_once, counts.iter().sum(), begin.elapsed()));
    }
    Ok(rates)
}

/// As many connections as asked for, or as the server has left beside those of the deployment.
async fn connect(scratch: &PgConnectOptions, wanted: usize) -> anyhow::Result<Vec<PgConnection>> {
    let mut connections = Vec::with_capacity(wanted);
    while connections.len() < wanted {
        match scratch.connect().await {
            Ok(connection) => connections.push(connection),
            Err(error) if connections.is_empty() => return Err(error).context("connecting to the scratch database"),
            Err(error) => {
                eprintln!("{} of {wanted} clients for the commit floor: {error}", connections.len());
                break;
            }
        }
    }
    Ok(connections)
}

/// How many rows were committed one by one, each in a transaction of its own.
async fn commit(mut connection: PgConnection, client: i32, end: Instant) -> anyhow::Result<u64> {
    let mut count = 0;
    while Instant::now() < end {
        sqlx::query("insert into commit_floor (client) values ($1)").bind(client).execute(&mut connection).await?;
        count += 1;
    }
    connection.close().await?;
    Ok(count)
}
