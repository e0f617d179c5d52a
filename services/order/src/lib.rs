//! Orders: the front door of checkouts, and a participant in their sagas.
//!
//! A checkout is accepted by one write (`checkout_accepting`): from then on nothing can be lost, because the row says
//! what its saga is still to be told (`saga_message`, `checkout_resending`). The saga's own commands move it on
//! (`commands`): open with an order, waiting for the buyer, decided. Requests wait for that (`waiting`)
//! and are answered from facts that never change (`checkout_answer`), so that every caller of a key gets the same bytes.
//!
//! A completed order is cancelled by a saga of its own (`order_cancellation`), which is told in the same way. So is the return of
//! goods that were shipped: `order_return` and `refund_share` are its rules, `return_row` its row, `return_resending` its outbox.
//!
//! Reading order: `checkout` and `order` are the rules, pure; `checkout_row` and `order_state` are what the tables hold;
//! then accepting, commands, `order_shipping`, resending, HTTP, and `invariants`, which prove it all afterwards.
//!
//! Absent on purpose: this service reads no cart (a cart's id proves whose it is by its seal), prices nothing,
//! and sees no card number.

mod config;

pub mod checkout;
mod order;
pub mod order_return;
mod payment_method;
pub mod refund_share;

mod checkout_row;
mod order_cancellation;
mod order_state;
mod return_row;

mod checkout_accepting;
mod checkout_answer;
mod checkout_backlog;
mod saga_message;
mod waiting;

mod commands;
mod order_shipping;

mod checkout_resending;
mod return_resending;

mod http;

mod invariants;

#[cfg(test)]
mod test_checkout;

use makegood_chassis::{http::HttpContext, invariant::Invariant};
use makegood_contracts::fulfillment::SHIPMENT_SHIPPED;
use makegood_messaging::{bus::Bus, event_log, worker::Worker};

pub use config::Config;

/// The schema of this service's database, beside the tables that every service has.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/order");

/// The HTTP routes. Starts the tasks that accept checkouts in batches and wait for them, so it is called inside a runtime.
pub fn router(http: HttpContext, bus: Bus, config: &Config) -> axum::Router {
    http::router(http, bus, config)
}

/// The description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}

/// The promises that this service's database can be asked about.
pub fn invariants() -> &'static [Invariant] {
    invariants::INVARIANTS
}

/// The background work: commands of sagas, events in and out, what sagas are told again. Returns after shutdown.
pub async fn run(worker: Worker, _config: Config) -> anyhow::Result<()> {
    tokio::try_join!(
        commands::participant(worker.clone()).run(),
        event_log::relay(worker.clone(), commands::SERVICE),
        event_log::apply(worker.clone(), commands::SERVICE, &[SHIPMENT_SHIPPED], order_shipping::apply),
        checkout_resending::run(worker),
    )?;
    Ok(())
}
