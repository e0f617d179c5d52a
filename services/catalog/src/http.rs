//! The HTTP routes of products.

use axum::{
    Router,
    routing::{get, post},
};
use makegood_chassis::http::HttpContext;
use utoipa::OpenApi;

mod import_products;
mod list_products;
mod product_json;
mod put_product;
mod read_product;

pub(crate) fn router(context: HttpContext) -> Router {
    Router::new()
        .route("/v1/products", get(list_products::list_products))
        .route("/v1/products:import", post(import_products::import_products))
        .route("/v1/products/{sku}", get(read_product::read_product).put(put_product::put_product))
        .with_state(context)
}

#[derive(OpenApi)]
#[openapi(paths(
    list_products::list_products,
    import_products::import_products,
    read_product::read_product,
    put_product::put_product
))]
struct Description;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[cfg(test)]
mod tests;
