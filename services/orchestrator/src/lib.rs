//! The orchestrator: runs every saga of every definition, and names no business step.
//!
//! [`definitions`] are loaded, checked and stored by version. The [`driver`] takes what has happened (starts, signals,
//! replies, deadlines) in batches, runs the pure transition for each saga, writes all of them in one statement
//! ([`saga_store`]), and sends the commands that follow ([`outgoing`]). [`due_sagas`] finds deadlines; [`recovery`] sends
//! again what may have been lost. What has ended is kept for its time ([`saga_retention`]) and then goes ([`saga_dropping`]). The rest is for people: [`http`] lists sagas, tells their timeline, and lets operators act, by
//! one [`operator`] for one saga and for the many of [`bulk_operation_work`]. [`stuck`] says which sagas need them, [`trouble`]
//! what keeps one at its step, and the [`census`] counts them for alerts.
//!
//! A dispatched step that is not answered is its own outbox: it is sent again at its deadline, after a restart, and after
//! each reconnection to NATS. Replicas need no election: every write checks the saga's revision.

pub mod config;

pub mod definitions;

mod driver;
mod due_sagas;
mod inbox;
mod outgoing;
mod recovery;
mod saga_cache;
mod saga_counters;
mod saga_store;

mod saga_dropping;
mod saga_retention;

mod bulk_operation_work;
mod lasting;
mod operation;
mod operator;
mod ownership;
mod saga_filter;
mod stuck;
mod trouble;

mod census;
mod every_saga;

mod http;
mod invariants;

use makegood_chassis::ops::Health;
use makegood_messaging::worker::Worker;
use sqlx::migrate::Migrator;

pub use config::Config;
pub use http::{openapi, router};
pub use saga_retention::SagaRetention;

pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/orchestrator");

/// What the orchestrator promises of its own tables, as queries.
pub fn invariants() -> &'static [makegood_chassis::invariant::Invariant] {
    invariants::INVARIANTS
}

/// The check of readiness that is kept once the definitions are stored. Until then a start may fail on them.
pub const DEFINITIONS_CHECK: &str = "definitions";

/// Runs sagas until shutdown.
pub async fn run(worker: Worker, config: Config) -> anyhow::Result<()> {
    let definitions = definitions::load(&worker.db, config.definitions.as_deref()).await?;
    Health::of_process().check(DEFINITIONS_CHECK).set(true);
    tokio::try_join!(
        driver::run(worker.clone(), definitions.clone()),
        bulk_operation_work::work(worker.clone()),
        saga_dropping::keep_dropping(worker.clone(), config.saga_retention),
        census::keep(worker, definitions),
    )?;
    Ok(())
}
