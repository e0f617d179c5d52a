//! Fulfillment: what leaves which warehouse, and how it got on.
//!
//! A saga creates one shipment per warehouse while it may still be undone, and releases them once the money is taken
//! (`commands`). From then on a released shipment is handed to the carrier until it has it (`shipment_handover`), and
//! the carrier's signed callback says that it is on its way (`http`), which the rest of the world is told as an event. What the carrier does not take is
//! counted (`untaken`), shown with its shipment, and asked again.
//!
//! Reading order: `shipment` holds the rules, pure; then commands,
//! hand-over, HTTP, and `invariants`.
//!
//! Shipment rows are locked in the order of their ids, everywhere; the hand-over does not wait for locks at all.

mod config;

pub mod shipment;

mod commands;
mod store;

mod carrier;
mod shipment_handover;
mod untaken;

mod http;

mod invariants;

pub use config::Config;

use makegood_chassis::{http::HttpContext, invariant::Invariant};
use makegood_messaging::{event_log, worker::Worker};

pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/fulfillment");

/// What this service serves over HTTP.
pub fn router(context: HttpContext) -> axum::Router {
    http::router(context)
}

/// The OpenAPI description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}

/// Handles commands, hands released shipments to the carrier, and tells what has shipped, until shutdown.
pub async fn run(worker: Worker, config: Config) -> anyhow::Result<()> {
    tokio::try_join!(
        commands::participant(worker.clone(), &config).run(),
        shipment_handover::run(worker.clone(), &config),
        untaken::keep_counting(worker.clone()),
        event_log::relay(worker, "fulfillment"),
    )?;
    Ok(())
}

/// The promises that this service's database can be asked about.
pub fn invariants() -> &'static [Invariant] {
    invariants::INVARIANTS
}
