//! The routes of all roles of this process on one address, on a thread of their own.

use std::{net::TcpListener, thread::JoinHandle};

use anyhow::{Context, Result};
use axum::Router;
use futures::future::try_join_all;
use makegood_chassis::{
    auth::ApiKeys,
    clock::DbClock,
    database::{self, Purpose},
    http::{self, HttpContext},
    ops::Health,
    role,
    secret::Secret,
};
use makegood_messaging::{bus::Bus, dead_letter};

use super::{Process, api_description};
use crate::roles::Role;

/// Readiness waits for the routes.
pub(super) const CHECK: &str = "http";

pub(super) fn spawn(process: Process, listener: TcpListener) -> JoinHandle<Result<()>> {
    role::spawn("http", process.shutdown.clone(), move || run(process, listener))
}

async fn run(process: Process, listener: TcpListener) -> Result<()> {
    // A server that does not come must not keep the process from ending.
    let Some(router) = process.shutdown.token.run_until_cancelled(router(&process)).await else {
        return Ok(());
    };
    let router = http::layered(router?, process.limits.max_in_flight);
    let listener = tokio::net::TcpListener::from_std(listener).context("taking over the listener")?;
    Health::of_process().check(CHECK).set(true);
    http::listen(listener, router, process.shutdown).await;
    Ok(())
}

async fn router(process: &Process) -> Result<Router> {
    let secret = Secret::new(&process.config.secret)?;
    let keys = ApiKeys::load(&process.config.api_keys, &secret)?;
    let bus = Bus::connect(&process.config.nats_url, "makegood-http").await?;
    let contexts = process.roles.iter().map(|&role| context(role, process, keys.clone(), secret.clone()));
    let contexts = try_join_all(contexts).await?;
    let mut router = api_description::router(&process.roles)?;
    for (role, context) in process.roles.iter().zip(contexts) {
        if role.migrator().is_some() {
            router = router.merge(dead_letter::http::router(context.clone(), role.name()));
        }
        router = router.merge(role.router(context, bus.clone(), &process.config, &process.settings));
    }
    Ok(router)
}

async fn context(role: Role, process: &Process, keys: ApiKeys, secret: Secret) -> Result<HttpContext> {
    let shutdown = process.shutdown.clone();
    // The auditor has no database; what it is asked for beyond the audit is the time.
    let url = match role.migrator() {
        Some(_) => database::service_url(&process.config, role.name())?,
        None => database::auditor_url(&process.config, Role::Order.name())?,
    };
    let purpose = if role.migrator().is_some() { Purpose::Http } else { Purpose::Admin };
    let db = database::connect(&url, role.name(), purpose).await?;
    let clock = DbClock::measure(&db).await?;
    tokio::spawn(clock.clone().keep(db.clone(), shutdown.clone()));
    Ok(HttpContext { db, clock, keys, secret, shutdown })
}
