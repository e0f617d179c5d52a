//! `GET /v1/products`.

use axum::{Json, extract::State, http::StatusCode};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::catalog::check_sku;
use serde::{Deserialize, Serialize};

use super::product_json::ProductJson;
use crate::store::load_page;

/// A page that a storefront shows at once.
const LIMIT_DEFAULT: u16 = 50;
/// Keeps one answer below a few hundred kilobytes.
const LIMIT_MAX: u16 = 200;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListProducts {
    /// 1 to 200, by default 50.
    limit: Option<u16>,
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
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(invalid_query(format!("`limit` is from 1 to {LIMIT_MAX}.")));
    }
    if let Some(after) = &query.after {
        check_sku(after).map_err(|_| invalid_query("`after` is no cursor of a page before."))?;
    }
    // One more than asked for tells whether there is a next page. No SKU sorts before the empty text.
    let after = query.after.as_deref().unwrap_or("");
    let found = load_page(&context.db, caller.account, after, i64::from(limit) + 1).await?;
    let (page, rest) = found.split_at(found.len().min(limit.into()));
    let next = page.last().filter(|_| !rest.is_empty()).map(|last| last.product.sku().to_owned());
    let data = page.iter().map(|found| ProductJson::of(&found.product, found.version)).collect();
    Ok(Json(ProductPage { data, next }))
}

fn invalid_query(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "Invalid query", detail)
}
