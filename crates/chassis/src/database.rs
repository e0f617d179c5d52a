//! One database per service: connecting to it, and bringing it to this build's schema.

mod address;
mod away;
mod migration;

use std::{str::FromStr as _, time::Duration};

use anyhow::{Context as _, bail};
use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::Instant;

pub use address::{auditor_url, service_url};
pub use away::is_away;
pub use migration::{has_schema, migrate};

/// A caller who waits longer is better served by "come again".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Bounds what a connection with an open transaction (sqlx #4393) or a stale plan can do.
const MAX_LIFETIME: Duration = Duration::from_secs(300);

/// How long a role waits for its server, and for the migration that makes its database; then the platform restarts it.
const SERVER_PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two attempts to reach the server.
const RECONNECT_EVERY: Duration = Duration::from_secs(1);

/// What a pool is for; sets its size, statement timeout and application_name (`makegood-<service>-<purpose>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Message handlers and sweepers on the role's own thread.
    Worker,
    /// HTTP handlers.
    Http,
    /// Health checks and admin queries.
    Admin,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Http => "http",
            Self::Admin => "admin",
        }
    }

    /// Connections are opened when needed; what is asked for in batches needs few.
    const fn max_connections(self) -> u32 {
        match self {
            Self::Worker => 6,
            Self::Http => 8,
            Self::Admin => 2,
        }
    }

    /// Hot tables begin empty each day, so statistics lag behind them, and a plan kept from an empty table must
    /// not read a full one from end to end. Statements take their rows as arrays, whose length must not tempt the
    /// planner into planning anew each time; and a helper process costs more than any of them. Where people ask ad
    /// hoc, the planner is left alone.
    const fn planner_settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Worker | Self::Http => &[
                ("enable_seqscan", "off"),
                ("random_page_cost", "1.1"),
                ("plan_cache_mode", "force_generic_plan"),
                ("max_parallel_workers_per_gather", "0"),
                ("jit", "off"),
            ],
            Self::Admin => &[],
        }
    }
}

/// Opens a pool: no ping before acquire, acquire timeout 3 s, `idle_in_transaction_session_timeout` 5 s, max_lifetime 5 min,
/// waits (with progress in the log) while the server is not there yet.
pub async fn connect(url: &str, service: &str, purpose: Purpose) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(url)
        .with_context(|| format!("reading the address of the database of {service}"))?
        .application_name(&format!("makegood-{service}-{}", purpose.name()))
        .options([("statement_timeout", "30s"), ("lock_timeout", "20s"), ("idle_in_transaction_session_timeout", "5s")])
        .options(purpose.planner_settings().iter().copied());
    await_server(&options, service).await?;
    let pool = PgPoolOptions::new()
        .max_connections(purpose.max_connections())
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .test_before_acquire(false)
        .connect_lazy_with(options);
    Ok(pool)
}

/// Tries until a connection stands. A missing database or role counts as "not yet": the migration may be under way.
async fn await_server(options: &PgConnectOptions, service: &str) -> anyhow::Result<()> {
    let give_up_at = Instant::now() + SERVER_PATIENCE;
    loop {
        let attempt = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await;
        let error = match attempt {
            Ok(Ok(connection)) => return connection.close().await.context("closing the first connection"),
            Ok(Err(error)) => anyhow::Error::from(error),
            Err(_elapsed) => anyhow::anyhow!("the server does not answer"),
        };
        if Instant::now() >= give_up_at {
            bail!(error.context(format!(
                "connecting to the database of {service} at {}:{}",
                options.get_host(),
                options.get_port()
            )));
        }
        tracing::info!(service, host = options.get_host(), error = format!("{error:#}"), "waiting for the database");
        tokio::time::sleep(RECONNECT_EVERY).await;
    }
}
