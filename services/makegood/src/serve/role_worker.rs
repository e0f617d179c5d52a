//! The roles' message handling and sweepers, on threads with a runtime of their own.

use std::{num::NonZeroUsize, thread::JoinHandle, time::Duration};

use anyhow::Result;
use makegood_chassis::{
    clock::DbClock,
    config::Config,
    database::{self, Purpose},
    idempotency, role,
    secret::Secret,
    shutdown::Shutdown,
};
use makegood_messaging::{barrier_dropping, bus::Bus, dead_letter, worker::Worker};

use super::Process;
use crate::roles::Role;

/// Migrations take seconds to minutes, and a role that is late by half a second is not missed.
const LOOK_FOR_SCHEMA_EVERY: Duration = Duration::from_millis(500);

/// One thread per core beside the one that serves HTTP, and the roles dealt out among them: more threads than cores
/// would only wake one another.
pub(super) fn spawn_all(process: &Process) -> Vec<(String, JoinHandle<Result<()>>)> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let working: Vec<Role> = process.roles.iter().copied().filter(|role| role.migrator().is_some()).collect();
    let threads = working.len().min(cores.saturating_sub(1).max(1));
    (0..threads)
        .map(|thread| spawn(working.iter().copied().skip(thread).step_by(threads).collect(), process.clone()))
        .collect()
}

fn spawn(roles: Vec<Role>, process: Process) -> (String, JoinHandle<Result<()>>) {
    let name = roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" ");
    let thread = role::spawn(&name, process.shutdown.clone(), move || async move {
        futures::future::try_join_all(roles.into_iter().map(|role| run(role, process.clone()))).await.map(drop)
    });
    (name, thread)
}

async fn run(role: Role, process: Process) -> Result<()> {
    let Process { config, settings, shutdown, .. } = process;
    let secret = Secret::new(&config.secret)?;
    // A server that does not come must not keep the process from ending.
    let Some(worker) = shutdown.token.run_until_cancelled(worker(role, &config, shutdown.clone())).await else {
        return Ok(());
    };
    let worker = worker?;
    if !schema_is_there(role, &worker).await {
        return Ok(());
    }
    tokio::spawn(idempotency::keep_partitions(worker.db.clone(), worker.shutdown.clone()));
    tokio::spawn(barrier_dropping::keep_dropping(worker.clone()));
    tokio::spawn(dead_letter::gauge::keep_counting(worker.db.clone(), role.name(), worker.shutdown.clone()));
    tokio::spawn(dead_letter::redriving::keep_redriving(worker.clone()));
    role.run(worker, secret, settings).await
}

/// Waits for this build's schema, false when shutdown came first. A pod of the next release may be here before its migrations, and would
/// take messages that the release before it can handle.
async fn schema_is_there(role: Role, worker: &Worker) -> bool {
    let Some(migrator) = role.migrator() else { return true };
    let mut has_waited = false;
    loop {
        match database::has_schema(&worker.db, migrator).await {
            Ok(true) => return true,
            Ok(false) if has_waited => {}
            Ok(false) => {
                tracing::warn!(role = role.name(), "waiting for the migrations of this build (`makegood migrate`)")
            }
            Err(_) if has_waited => {}
            Err(error) => tracing::warn!(role = role.name(), %error, "the schema cannot be looked at; trying again"),
        }
        has_waited = true;
        if !worker.shutdown.pause(LOOK_FOR_SCHEMA_EVERY).await {
            return false;
        }
    }
}

/// The pool and the connection are opened on this thread, so that it alone is woken by them.
async fn worker(role: Role, config: &Config, shutdown: Shutdown) -> Result<Worker> {
    let url = database::service_url(config, role.name())?;
    let db = database::connect(&url, role.name(), Purpose::Worker).await?;
    let clock = DbClock::measure(&db).await?;
    tokio::spawn(clock.clone().keep(db.clone(), shutdown.clone()));
    let bus = Bus::connect(&config.nats_url, &format!("makegood-{}", role.name())).await?;
    Ok(Worker { db, bus, clock, shutdown })
}
