//! Payment: takes a buyer's money at most once, knows where it is, and gives it back.
//!
//! An [`intent`] is what a shop wants from a buyer, as a pure state machine; an [`operation`] is one request to the
//! provider, known by one id on both sides for ever; the [`ledger`] says where the money is, in rows that are never changed.
//! A step of a saga ([`commands`]) goes through the three phases of the [`cashier`]: stored as started, carried out at
//! the [`provider`], and settled. Everything that the provider says, at first hand, when asked ([`operation_inquiry`]) or
//! hinted at by a callback ([`http`]), comes through one entry, [`settlement`].
//!
//! It never guesses: a request without a clear answer is an operation whose outcome is unknown, and the provider is
//! asked by the operation's id before anything is sent again. No card data comes here, only tokens.

mod config;

pub mod intent;
pub mod ledger;
pub mod operation;
pub mod settlement;

pub mod provider;

pub mod cashier;
pub mod commands;
pub mod operation_inquiry;
pub mod refund;

pub mod store;

mod http;
mod invariants;

pub use config::Config;
use std::rc::Rc;

use makegood_chassis::{http::HttpContext, invariant::Invariant};
use makegood_messaging::worker::Worker;

pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/payment");

/// The HTTP routes: callbacks of the provider, and what operators look at.
pub fn router(http: HttpContext) -> axum::Router {
    http::router(http)
}

/// The description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}

/// Takes part in sagas and asks after unknown outcomes until shutdown.
pub async fn run(worker: Worker, config: Config) -> anyhow::Result<()> {
    let cashier = Rc::new(cashier::Cashier::new(worker.db.clone(), &config)?);
    tokio::try_join!(commands::run(worker.clone(), Rc::clone(&cashier)), operation_inquiry::run(worker, &cashier))?;
    Ok(())
}

/// The promises that this service's database is checked against.
pub fn invariants() -> &'static [Invariant] {
    invariants::INVARIANTS
}

#[cfg(test)]
mod tests;
