//! The catalog: what a shop sells and what it costs, in each currency that it sells in.
//!
//! A shop's server writes products one by one or a thousand at a time (`product_writing`); each change is told to the
//! world as `product.priced` from the same transaction, and carts price their lines from what they were told. Nobody
//! asks this service for a price while a buyer waits.
//!
//! The rules are in [`product`], pure.

pub mod product;

mod config;
mod http;
mod invariants;
mod product_writing;
mod store;

use makegood_chassis::{http::HttpContext, invariant::Invariant};
use makegood_messaging::{event_log, worker::Worker};

pub use config::Config;

/// This service's name in subjects, consumers and logs.
const SERVICE: &str = "catalog";

/// The schema of this service's database, beside the tables that every service has.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/catalog");

pub fn router(http: HttpContext) -> axum::Router {
    http::router(http)
}

/// The description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}

pub fn invariants() -> &'static [Invariant] {
    invariants::INVARIANTS
}

/// The background work: telling what has changed. Returns after shutdown.
pub async fn run(worker: Worker, _config: Config) -> anyhow::Result<()> {
    event_log::relay(worker, SERVICE).await
}
