//! A role's message handling and sweepers, on a thread and a runtime of their own.

use std::thread::JoinHandle;

use anyhow::Result;
use makegood_chassis::{clock::DbClock, database, database::Purpose, role, secret::Secret};
use makegood_messaging::{bus::Bus, worker::Worker};

use super::Process;
use crate::roles::Role;

pub(super) fn spawn(role: Role, process: Process) -> JoinHandle<Result<()>> {
    role::spawn(role.name(), process.shutdown.clone(), move || run(role, process))
}

/// The pool and the connection are opened here, so that this thread alone is woken by them.
async fn run(role: Role, process: Process) -> Result<()> {
    let Process { config, settings, shutdown, .. } = process;
    let secret = Secret::new(&config.secret)?;
    let url = database::service_url(&config, role.name())?;
    let db = database::connect(&url, role.name(), Purpose::Worker).await?;
    let clock = DbClock::measure(&db).await?;
    tokio::spawn(clock.clone().keep(db.clone(), shutdown.clone()));
    let bus = Bus::connect(&config.nats_url, &format!("makegood-{}", role.name())).await?;
    role.run(Worker { db, bus, clock, shutdown }, secret, settings).await
}
