//! The inventory over HTTP: all its routes on one screen.

mod end_hold;
mod get_availability;
mod hold_json;
mod list_stock;
mod list_warehouses;
mod put_warehouse;
mod read_hold;
mod receive_stock;

use axum::{
    Router,
    routing::{get, post, put},
};
use makegood_chassis::http::HttpContext;
use utoipa::OpenApi;

pub(crate) fn router(context: HttpContext) -> Router {
    Router::new()
        .route("/v1/availability/{sku}", get(get_availability::handle))
        .route("/v1/admin/stock", get(list_stock::handle))
        .route("/v1/admin/stock/receipts", post(receive_stock::handle))
        .route("/v1/admin/holds/{id}", get(read_hold::handle))
        .route("/v1/admin/holds/{id}/commit", post(end_hold::commit))
        .route("/v1/admin/holds/{id}/release", post(end_hold::release))
        .route("/v1/admin/warehouses", get(list_warehouses::handle))
        .route("/v1/admin/warehouses/{code}", put(put_warehouse::handle))
        .with_state(context)
}

#[derive(OpenApi)]
#[openapi(paths(
    get_availability::handle,
    list_stock::handle,
    receive_stock::handle,
    read_hold::handle,
    end_hold::commit,
    end_hold::release,
    list_warehouses::handle,
    put_warehouse::handle
))]
struct Api;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
