//! Where a service's database is, and as whom it is entered.

use std::{env, str::FromStr as _};

use anyhow::{Context as _, ensure};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use crate::{
    config::Config,
    secret::{Secret, hex},
};

/// The role that reads everything and writes nothing.
pub(super) const AUDITOR_ROLE: &str = "makegood_auditor";

/// `MAKEGOOD_<SERVICE>_DATABASE_URL`, or `DATABASE_URL` with database and role `makegood_<service>` (password derived from the secret).
pub fn service_url(config: &Config, service: &str) -> anyhow::Result<String> {
    match own_url(service) {
        Some(url) => Ok(url),
        None => url_as(config, service, &database_of(service)?),
    }
}

/// The service's database for the auditor, who may read only. Where the service's database is named outright,
/// its roles are the operator's own, and the auditor enters as the service does.
pub fn auditor_url(config: &Config, service: &str) -> anyhow::Result<String> {
    match own_url(service) {
        Some(url) => Ok(url),
        None => url_as(config, service, AUDITOR_ROLE),
    }
}

/// The address by which one service's database was named outright.
pub(super) fn own_url(service: &str) -> Option<String> {
    env::var(format!("MAKEGOOD_{}_DATABASE_URL", service.to_uppercase())).ok().filter(|url| !url.is_empty())
}

/// Name of a service's database, and of its role. It goes into statements that take no parameters.
pub(super) fn database_of(service: &str) -> anyhow::Result<String> {
    let is_plain = !service.is_empty()
        && service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    ensure!(is_plain, "a service is named with a-z, 0-9 and _; `{service}` is not");
    Ok(format!("makegood_{service}"))
}

/// The server as `DATABASE_URL` gives it: with the right to create databases and roles.
pub(super) fn server(config: &Config) -> anyhow::Result<PgConnectOptions> {
    PgConnectOptions::from_str(&config.database_url).context("reading DATABASE_URL")
}

/// Nobody stores this password: every process that has the secret knows it.
pub(super) fn role_password(config: &Config, role: &str) -> anyhow::Result<String> {
    Ok(hex(&Secret::new(&config.secret)?.mac("database-role", &[role.as_bytes()])))
}

fn url_as(config: &Config, service: &str, role: &str) -> anyhow::Result<String> {
    let options =
        server(config)?.database(&database_of(service)?).username(role).password(&role_password(config, role)?);
    Ok(options.to_url_lossy().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_address_has_its_own_database_role_and_password() {
        let config =
            crate::config::Config::for_tests("postgres://admin:secret@db.example:5433/postgres?sslmode=require");
        let options = PgConnectOptions::from_str(&service_url(&config, "cart").expect("an address")).expect("parses");
        assert_eq!((options.get_host(), options.get_port()), ("db.example", 5433));
        assert_eq!((options.get_username(), options.get_database()), ("makegood_cart", Some("makegood_cart")));
        let url = service_url(&config, "cart").expect("an address");
        assert!(!url.contains("secret@") && url.contains("sslmode=require"), "{url}");
        assert!(auditor_url(&config, "cart").expect("an address").contains("makegood_auditor:"));
        assert!(service_url(&config, "cart\"; drop").is_err());
    }
}
