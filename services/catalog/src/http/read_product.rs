//! `GET /v1/products/{sku}`.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use makegood_chassis::{
    auth::{Caller, Scope},
    entity_tag::{self, Conditions},
    extract::Path,
    http::HttpContext,
    problem::Problem,
};

use super::product_json::ProductJson;
use crate::store::load_products;

/// The answer depends on the caller's account, and a price may change at any time: kept by the caller only, and asked
/// again each time, which costs a 304.
const CACHE_CONTROL: &str = "private, no-cache";

/// Shows a product.
#[utoipa::path(
    get, path = "/v1/products/{sku}", tag = "products",
    params(("sku" = String, Path), ("If-None-Match" = Option<String>, Header, description = "The version that is known")),
    responses(
        (status = 200, description = "The product, with ETag", body = ProductJson),
        (status = 304, description = "It is still the version that is known"),
        (status = 404, description = "No such product")
    )
)]
pub(super) async fn read_product(
    State(context): State<HttpContext>,
    caller: Caller,
    Path(sku): Path<String>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    caller.require(Scope::Storefront)?;
    let found = load_products(&context.db, caller.account, &[&sku]).await?;
    let found = found.first().ok_or_else(|| Problem::not_found("product", &sku))?;
    let headers = [(header::ETAG, entity_tag::of(found.version)), (header::CACHE_CONTROL, CACHE_CONTROL.to_owned())];
    if conditions.know(found.version) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, axum::Json(ProductJson::of(&found.product, found.version))).into_response())
}
