//! The admin address of sagas: all routes on one screen.

mod bulk;
mod get_graph;
mod get_saga;
mod list_audit;
mod list_sagas;
mod operate;
mod saga_id;
mod start_saga;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use makegood_chassis::http::HttpContext;
use makegood_messaging::bus::Bus;
use utoipa::OpenApi;

use crate::{Config, definitions::DefinitionShelf, saga_retention::SagaRetention};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Admin {
    http: HttpContext,
    bus: Bus,
    definitions: DefinitionShelf,
    retention: SagaRetention,
}

impl FromRef<Admin> for HttpContext {
    fn from_ref(admin: &Admin) -> Self {
        admin.http.clone()
    }
}

/// The router; `bus` carries the commands that an operator's action sends.
pub fn router(http: HttpContext, bus: Bus, config: &Config) -> Router {
    let definitions = DefinitionShelf::new(http.db.clone());
    Router::new()
        .route("/v1/admin/sagas", get(list_sagas::list_sagas).post(start_saga::start_saga))
        .route("/v1/admin/sagas/{id}", get(get_saga::get_saga))
        .route("/v1/admin/sagas/{id}/graph", get(get_graph::get_graph))
        .route("/v1/admin/sagas/{id}/retry", post(operate::retry_saga::retry_saga))
        .route("/v1/admin/sagas/{id}/skip", post(operate::skip_step::skip_step))
        .route("/v1/admin/sagas/{id}/compensate", post(operate::compensate_saga::compensate_saga))
        .route("/v1/admin/sagas/{id}/resolve", post(operate::resolve_step::resolve_step))
        .route("/v1/admin/sagas/{id}/pause", post(operate::pause_saga::pause_saga))
        .route("/v1/admin/sagas/{id}/resume", post(operate::resume_saga::resume_saga))
        .route("/v1/admin/sagas/{id}/cancel", post(operate::cancel_saga::cancel_saga))
        .route("/v1/admin/sagas/{id}/signal", post(operate::signal_saga::signal_saga))
        .route("/v1/admin/sagas/{id}/move", post(operate::move_saga::move_saga))
        .route("/v1/admin/sagas:bulk", post(bulk::start_bulk_operation::start_bulk_operation))
        .route("/v1/admin/bulk_operations", get(bulk::list_bulk_operations::list_bulk_operations))
        .route("/v1/admin/bulk_operations/{id}", get(bulk::get_bulk_operation::get_bulk_operation))
        .route("/v1/admin/bulk_operations/{id}/stop", post(bulk::stop_bulk_operation::stop_bulk_operation))
        .route("/v1/admin/audit", get(list_audit::list_audit))
        .with_state(Admin { http, bus, definitions, retention: config.saga_retention })
}

#[derive(OpenApi)]
#[openapi(
    paths(
        list_sagas::list_sagas,
        start_saga::start_saga,
        get_saga::get_saga,
        get_graph::get_graph,
        operate::retry_saga::retry_saga,
        operate::skip_step::skip_step,
        operate::compensate_saga::compensate_saga,
        operate::resolve_step::resolve_step,
        operate::pause_saga::pause_saga,
        operate::resume_saga::resume_saga,
        operate::cancel_saga::cancel_saga,
        operate::signal_saga::signal_saga,
        operate::move_saga::move_saga,
        bulk::start_bulk_operation::start_bulk_operation,
        bulk::list_bulk_operations::list_bulk_operations,
        bulk::get_bulk_operation::get_bulk_operation,
        bulk::stop_bulk_operation::stop_bulk_operation,
        list_audit::list_audit
    ),
    tags((name = "sagas", description = "Every run of every definition: where it is, what it did, and how to mend it."))
)]
struct Api;

pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
