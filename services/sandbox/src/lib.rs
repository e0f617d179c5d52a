//! The pretend outside world: a card provider and a carrier that speak the real protocols, keep durable books of their
//! own, and misbehave on demand. For test mode only: nothing here may face the internet.
//!
//! The card provider takes each request once by the operation's id (`provider_books`), by rules that are pure (`charge`),
//! with cards that do what their token says (`test_card`), and tells the merchant what was decided later
//! (`provider_callbacks`). The [`carrier`](run) ships what it is announced and tells. `faults` says what goes wrong.
//!
//! It stands for somebody else's computers: it depends on no service, reads nobody's database, and nobody reads its own.

mod config;

pub mod charge;
mod test_card;

mod provider_books;

mod callback_client;
mod carrier;
mod provider_callbacks;

mod faults;
mod first_cut;

mod http;
mod invariants;

pub use config::Config;

use makegood_chassis::{
    callback_signature::CallbackKey, clock::DbClock, http::HttpContext, invariant::Invariant, secret::Secret,
    shutdown::Shutdown,
};
use makegood_messaging::worker::Worker;
use sqlx::PgPool;

use crate::callback_client::CallbackClient;

pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sandbox");

/// The HTTP routes. Spawns the task that takes requests in batches, so it is called inside a runtime.
pub fn router(http: HttpContext, config: Config) -> axum::Router {
    http::router(http, config)
}

/// The description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}

/// Sends the callbacks of both partners until shutdown.
pub async fn run(worker: Worker, secret: Secret, config: Config) -> anyhow::Result<()> {
    let Worker { db, clock, shutdown, .. } = worker;
    send_callbacks(db, clock, shutdown, &secret, config).await
}

/// What [`run`] does; it needs no message bus. Callbacks are signed with keys derived from the secret.
pub async fn send_callbacks(
    db: PgPool,
    clock: DbClock,
    shutdown: Shutdown,
    secret: &Secret,
    config: Config,
) -> anyhow::Result<()> {
    let to_merchant =
        CallbackClient::new("Provider-Signature", CallbackKey::shared_with("provider", secret), clock.clone())?;
    let to_sender = CallbackClient::new("Carrier-Signature", CallbackKey::shared_with("carrier", secret), clock)?;
    tokio::try_join!(
        provider_callbacks::run(db.clone(), shutdown.clone(), to_merchant, config.sandbox_provider_callback_url),
        carrier::run(db, shutdown, to_sender),
    )?;
    Ok(())
}

/// What the sandbox's own books are checked against.
pub fn invariants() -> &'static [Invariant] {
    invariants::INVARIANTS
}

#[cfg(test)]
mod tests;
