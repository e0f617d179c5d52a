//! Fulfillment over HTTP: all its routes on one screen.

mod carrier_callbacks;
mod get_shipment;
mod list_shipments;
pub(crate) mod shipment_view;

use axum::{
    Router,
    routing::{get, post},
};
use makegood_chassis::http::HttpContext;
use utoipa::OpenApi;

pub(crate) fn router(context: HttpContext) -> Router {
    Router::new()
        .route("/v1/admin/shipments", get(list_shipments::handle))
        .route("/v1/admin/shipments/{id}", get(get_shipment::handle))
        .route("/v1/carrier/callbacks", post(carrier_callbacks::handle))
        .with_state(context)
}

#[derive(OpenApi)]
#[openapi(paths(list_shipments::handle, get_shipment::handle, carrier_callbacks::handle))]
struct Api;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
