//! Settings that every role shares, from flags and environment.

use std::path::PathBuf;

/// Flags and variables common to all roles.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// PostgreSQL server, 17 or newer; the database's name in it is replaced by `makegood_<service>`.
    /// `MAKEGOOD_<SERVICE>_DATABASE_URL` names one service's database outright.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// NATS server, 2.12 or newer, with JetStream.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: String,
    /// Root secret (32 bytes or more, any text): keys of fingerprints, sealed ids and hashed API keys derive from it.
    #[arg(long, env = "MAKEGOOD_SECRET", hide_env_values = true)]
    pub secret: String,
    /// File of hashed API keys, as `makegood keys create` writes it.
    #[arg(long, env = "MAKEGOOD_API_KEYS")]
    pub api_keys: PathBuf,
}

/// How much an HTTP listener takes on; for roles that have one.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct HttpLimits {
    /// Requests at once per listener; more are refused with 429.
    #[arg(long, env = "MAKEGOOD_MAX_IN_FLIGHT", default_value_t = crate::http::DEFAULT_MAX_IN_FLIGHT)]
    pub max_in_flight: usize,
}

#[cfg(test)]
impl Config {
    pub(crate) fn for_tests(database_url: &str) -> Self {
        Self {
            database_url: database_url.to_owned(),
            nats_url: String::new(),
            secret: "0123456789abcdef0123456789abcdef".to_owned(),
            api_keys: PathBuf::new(),
        }
    }
}
