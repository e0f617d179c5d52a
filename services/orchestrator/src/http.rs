//! The admin address of sagas: all routes on one screen.

mod get_saga;
mod list_sagas;
mod operate;
mod ownership;
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

use crate::definitions::DefinitionShelf;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Admin {
    http: HttpContext,
    bus: Bus,
    definitions: DefinitionShelf,
}

impl FromRef<Admin> for HttpContext {
    fn from_ref(admin: &Admin) -> Self {
        admin.http.clone()
    }
}

/// The router; `bus` carries the commands that an operator's action sends.
pub fn router(http: HttpContext, bus: Bus) -> Router {
    let definitions = DefinitionShelf::new(http.db.clone());
    Router::new()
        .route("/v1/admin/sagas", get(list_sagas::list_sagas).post(start_saga::start_saga))
        .route("/v1/admin/sagas/{id}", get(get_saga::get_saga))
        .route("/v1/admin/sagas/{id}/retry", post(operate::retry_saga))
        .route("/v1/admin/sagas/{id}/compensate", post(operate::compensate_saga))
        .route("/v1/admin/sagas/{id}/resolve", post(operate::resolve_saga))
        .with_state(Admin { http, bus, definitions })
}

#[derive(OpenApi)]
#[openapi(
    paths(
        list_sagas::list_sagas,
        start_saga::start_saga,
        get_saga::get_saga,
        operate::retry_saga,
        operate::compensate_saga,
        operate::resolve_saga
    ),
    tags((name = "sagas", description = "Every run of every definition: where it is, what it did, and how to mend it."))
)]
struct Api;

pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
