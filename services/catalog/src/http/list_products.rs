//! `GET /v1/products`.

use axum::{Json, extract::State, http::StatusCode};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    page::Limit,
    problem::Problem,
};
use makegood_contracts::catalog::check_sku;
use serde::{Deserialize, Serialize};

use super::product_json::ProductJson;
use crate::store::load_page;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListProducts {
    /// Products a page; the maximum keeps one answer below a few hundred kilobytes.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ProductPage {
    /// Sorted by SKU.
    data: Vec<ProductJson>,
    /// Cursor of the next page, absent (null) on the last.
    next: Option<String>,
}

/// Lists products, a page at a time.
#[utoipa::path(
    get, path = "/v1/products", tag = "products", params(ListProducts),
    responses((status = 200, description = "A page", body = ProductPage), (status = 400, description = "A parameter cannot be used"))
)]
pub(super) async fn list_products(
    State(context): State<HttpContext>,
    caller: Caller,
    Query(query): Query<ListProducts>,
) -> Result<Json<ProductPage>, Problem> {
    caller.require(Scope::Storefront)?;
    if let Some(after) = &query.after {
        check_sku(after).map_err(|_| {
            let detail = "`after` is no cursor of a page before.";
            Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "Invalid query", detail)
        })?;
    }
    // No SKU sorts before the empty text.
    let after = query.after.as_deref().unwrap_or("");
    let mut page = load_page(&context.db, caller.account, after, query.limit.rows_to_read()).await?;
    let next = query.limit.cut(&mut page, |last| last.product.sku().to_owned());
    let data = page.iter().map(|found| ProductJson::of(&found.product, found.version)).collect();
    Ok(Json(ProductPage { data, next }))
}
