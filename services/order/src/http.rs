//! The HTTP of checkouts, orders and returns: all routes on one screen.

mod cancel_checkout;
mod cancel_order;
mod cancel_return;
mod checkout_json;
mod confirm_checkout;
mod decide_once;
mod get_checkout;
mod get_order;
mod get_return;
mod list_orders;
mod list_returns;
mod open_checkout;
mod order_events;
mod order_json;
mod receive_return;
mod respond;
mod return_json;
mod return_lines;
mod return_order;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use makegood_chassis::http::HttpContext;
use makegood_messaging::bus::Bus;
use tokio::sync::Semaphore;
use utoipa::OpenApi as _;

use return_order::ReturnTerms;

use crate::{
    checkout_accepting::{self, Accepting},
    checkout_backlog::Backlog,
    config::Config,
    waiting::Waiting,
};

/// What the endpoints share.
#[derive(Clone)]
struct Shared {
    http: HttpContext,
    bus: Bus,
    accepting: Accepting,
    backlog: Backlog,
    waiting: Waiting,
    /// Places for requests whose checkout is not open yet; without one a request is shed.
    opening_places: Arc<Semaphore>,
    stream_places: Arc<Semaphore>,
    return_terms: ReturnTerms,
}

impl FromRef<Shared> for HttpContext {
    fn from_ref(shared: &Shared) -> Self {
        shared.http.clone()
    }
}

pub(crate) fn router(http: HttpContext, bus: Bus, config: &Config) -> Router {
    let shared = Shared {
        accepting: checkout_accepting::spawn(http.db.clone(), bus.clone()),
        backlog: Backlog::watch(http.db.clone(), config.max_open_checkouts_in_flight, http.shutdown.clone()),
        waiting: Waiting::spawn(http.db.clone()),
        opening_places: places(config.max_open_checkouts_in_flight),
        stream_places: places(config.max_order_event_streams),
        return_terms: ReturnTerms {
            window_seconds: config.return_window_seconds,
            receipt_within_seconds: config.return_receipt_within_seconds,
        },
        http,
        bus,
    };
    Router::new()
        .route("/v1/checkouts", post(open_checkout::open_checkout))
        .route("/v1/checkouts/{checkout}", get(get_checkout::get_checkout))
        .route("/v1/checkouts/{checkout}/confirm", post(confirm_checkout::confirm_checkout))
        .route("/v1/checkouts/{checkout}/cancel", post(cancel_checkout::cancel_checkout))
        .route("/v1/orders", get(list_orders::list_orders))
        .route("/v1/orders/{order}", get(get_order::get_order))
        .route("/v1/orders/{order}/cancel", post(cancel_order::cancel_order))
        .route("/v1/orders/{order}/events", get(order_events::order_events))
        .route("/v1/orders/{order}/returns", post(return_order::return_order).get(list_returns::list_returns))
        .route("/v1/returns/{return}", get(get_return::get_return))
        .route("/v1/returns/{return}/receive", post(receive_return::receive_return))
        .route("/v1/returns/{return}/cancel", post(cancel_return::cancel_return))
        .with_state(shared)
}

fn places(count: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS)))
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(
    open_checkout::open_checkout,
    get_checkout::get_checkout,
    confirm_checkout::confirm_checkout,
    cancel_checkout::cancel_checkout,
    list_orders::list_orders,
    get_order::get_order,
    cancel_order::cancel_order,
    order_events::order_events,
    return_order::return_order,
    list_returns::list_returns,
    get_return::get_return,
    receive_return::receive_return,
    cancel_return::cancel_return,
))]
struct Api;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

#[cfg(test)]
mod tests;
