//! Inventory: what lies in which warehouse, and who may have it. Nothing is ever sold twice.
//!
//! Stock comes in by receipts (`http`). A saga holds what a cart wants for a while, allocates it to warehouses
//! before payment begins, and commits it when the money is taken (`commands`); a hold that nobody confirms ends by itself (`hold_expiry`).
//!
//! Reading order: `hold_plan` decides which warehouse serves whom, `hold` what a hold may become and what it
//! counts for, `restock_plan` where returned goods go; all three are pure. Then the commands, the expiry, the HTTP, and `invariants`, which prove it all afterwards.
//!
//! **One lock order.** Every transaction locks hold rows first, in the order of their ids, and then stock rows, in the
//! order of their key (account, mode, SKU, warehouse). The sweeper does not wait for holds at all.

mod config;

pub mod hold;
pub mod hold_plan;
pub mod restock_plan;
mod warehouse_code;

mod commands;
mod store;

mod hold_expiry;

mod http;

mod invariants;

#[cfg(test)]
mod test_stock;

pub use config::Config;

use makegood_chassis::{http::HttpContext, invariant::Invariant};
use makegood_messaging::worker::Worker;

pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/inventory");

/// What this service serves over HTTP.
pub fn router(context: HttpContext) -> axum::Router {
    http::router(context)
}

/// The OpenAPI description of `router`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}

/// Handles commands and ends overdue holds until shutdown.
pub async fn run(worker: Worker, config: Config) -> anyhow::Result<()> {
    tokio::try_join!(commands::participant(worker.clone(), &config).run(), hold_expiry::run(worker))?;
    Ok(())
}

/// The promises that this service's database can be asked about.
pub fn invariants() -> &'static [Invariant] {
    invariants::INVARIANTS
}
