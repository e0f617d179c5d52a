//! Carts: what a buyer means to buy, at which prices, until a checkout takes it over.
//!
//! A cart is made and edited over HTTP ([`http`]) and priced from this service's own copy of the catalog
//! (`price_projection`), so that neither needs another service. A checkout's saga locks it (`commands/lock_cart`): from
//! there on its lines and prices are by value, and nobody edits it. The saga unlocks it when it is undone and closes it
//! when the order is through. Carts that nobody came back to are deleted (`cart_abandonment`).
//!
//! The rules are in [`cart`] and [`pricing`], pure; everything around them only reads and makes durable.

pub mod cart;
pub mod pricing;

mod cart_abandonment;
mod cart_creation;
mod commands;
mod config;
mod http;
mod invariants;
mod price_projection;
mod store;

use makegood_chassis::{http::HttpContext, invariant::Invariant};
use makegood_contracts::catalog::PRODUCT_PRICED;
use makegood_messaging::{event_log, worker::Worker};

pub use config::Config;

#[cfg(test)]
mod test_prices;

/// The schema of this service's database, beside the tables that every service has.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/cart");

/// The HTTP routes. Spawns the task that makes carts in batches, so it is called inside a runtime.
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

/// The background work: commands of sagas, the catalog's events, abandoned carts. Returns after shutdown.
pub async fn run(worker: Worker, config: Config) -> anyhow::Result<()> {
    tokio::try_join!(
        commands::participant(worker.clone()).run(),
        event_log::apply(worker.clone(), commands::SERVICE, &[PRODUCT_PRICED], price_projection::apply),
        cart_abandonment::run(worker, config.cart_ttl()),
    )?;
    Ok(())
}
