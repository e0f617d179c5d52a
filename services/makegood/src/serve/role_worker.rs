//! A role's message handling and sweepers, on a thread and a runtime of their own.

use std::thread::JoinHandle;

use anyhow::Result;
use makegood_chassis::{
    clock::DbClock,
    config::Config,
    database::{self, Purpose},
    role,
    secret::Secret,
    shutdown::Shutdown,
};
use makegood_messaging::{bus::Bus, worker::Worker};

use super::Process;
use crate::roles::Role;

pub(super) fn spawn(role: Role, process: Process) -> JoinHandle<Result<()>> {
    role::spawn(role.name(), process.shutdown.clone(), move || run(role, process))
}

async fn run(role: Role, process: Process) -> Result<()> {
    let Process { config, settings, shutdown, .. } = process;
    let secret = Secret::new(&config.secret)?;
    // A server that does not come must not keep the process from ending.
    let Some(worker) = shutdown.token.run_until_cancelled(worker(role, &config, shutdown.clone())).await else {
        return Ok(());
    };
    role.run(worker?, secret, settings).await
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
