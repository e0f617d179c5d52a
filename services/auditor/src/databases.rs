//! Read-only connections to every service's database.
//!
//! An audit is rare and each of its statements may be long, so it opens what it needs and closes it again instead of
//! keeping pools: the sum of all pools must stay below what the servers allow.

use anyhow::Context as _;
use makegood_chassis::config::Config;
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};

/// A check of the largest tables reads for minutes; one that reads longer is stuck.
const STATEMENT_TIMEOUT: &str = "15min";

/// How the address of a service's database follows from the settings.
pub(crate) type Address = fn(&Config, &str) -> anyhow::Result<String>;

/// Where the services' databases are.
#[derive(Debug, Clone)]
pub(crate) struct Databases {
    config: Config,
    address: Address,
}

impl Databases {
    pub(crate) const fn new(config: Config, address: Address) -> Self {
        Self { config, address }
    }

    /// A new connection that can read and nothing else.
    pub(crate) async fn connect(&self, service: &str) -> anyhow::Result<PgConnection> {
        let url = (self.address)(&self.config, service)?;
        let options: PgConnectOptions =
            url.parse().with_context(|| format!("the address of the database of {service}"))?;
        options
            .application_name("makegood-auditor")
            .options([("default_transaction_read_only", "on"), ("statement_timeout", STATEMENT_TIMEOUT)])
            .disable_statement_logging()
            .connect()
            .await
            .with_context(|| format!("connecting to the database of {service} as auditor"))
    }
}
