//! `GET /v1/products`.

use std::str::FromStr;

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    page::{After, Limit},
    problem::Problem,
};
use makegood_contracts::catalog::{SkuError, check_sku};
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
    #[param(value_type = Option<String>)]
    after: Option<After<LastSku>>,
}

/// The last SKU of the page before.
#[derive(Debug)]
struct LastSku(String);

impl FromStr for LastSku {
    type Err = SkuError;

    fn from_str(text: &str) -> Result<Self, SkuError> {
        check_sku(text).map(|()| Self(text.to_owned()))
    }
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
    // No SKU sorts before the empty text.
    let after = query.after.as_ref().map_or("", |After(LastSku(sku))| sku);
    let mut page = load_page(&context.db, caller.account, after, query.limit.rows_to_read()).await?;
    let next = query.limit.cut(&mut page, |last| last.product.sku().to_owned());
    let data = page.iter().map(|found| ProductJson::of(&found.product, found.version)).collect();
    Ok(Json(ProductPage { data, next }))
}
