//! `PUT /v1/products/{sku}`.

use anyhow::Context;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use makegood_chassis::{
    auth::{Caller, Scope},
    entity_tag::{self, Conditions},
    extract::{Json, Path},
    http::{HttpContext, request_id},
    problem::Problem,
};
use makegood_contracts::{
    account::Account,
    money::{Money, MoneyJson},
};
use serde::Deserialize;
use sqlx::PgPool;

use super::product_json::{self, ProductJson};
use crate::{
    product::{Change, Product},
    product_writing::{Written, write_products},
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutProduct {
    /// 1 to 500 characters.
    title: String,
    /// 1 to 60, one per currency; zero is allowed.
    #[schema(value_type = Vec<MoneyJson>)]
    prices: Vec<Money>,
    /// False withdraws it from sale.
    #[serde(default = "product_json::active_by_default")]
    active: bool,
}

/// Makes the product, or makes it what the body says. Sending what is there already changes nothing.
#[utoipa::path(
    put, path = "/v1/products/{sku}", tag = "products", request_body = PutProduct,
    params(
        ("sku" = String, Path, description = "1 to 64 characters out of A-Z, a-z, 0-9, `.`, `_` and `-`"),
        ("If-Match" = Option<String>, Header, description = "Change this version only")
    ),
    responses(
        (status = 200, description = "The product, with ETag", body = ProductJson),
        (status = 201, description = "The product is new", body = ProductJson),
        (status = 412, description = "The version has changed"),
        (status = 422, description = "A field cannot be used")
    )
)]
pub(super) async fn put_product(
    State(context): State<HttpContext>,
    caller: Caller,
    Path(sku): Path<String>,
    conditions: Conditions,
    Json(body): Json<PutProduct>,
) -> Result<Response, Problem> {
    caller.require(Scope::Server)?;
    let product =
        Product::new(sku, body.title, body.prices, body.active).map_err(|error| product_json::invalid("", error))?;
    // On a task of its own: a client that goes away must not cut the transaction in the middle.
    let task = tokio::spawn(request_id::carry(write(context.db, caller.account, product.clone(), conditions)));
    let written = task
        .await
        .context("writing a product")??
        .map_err(|Stale { version }| entity_tag::version_changed("product", version))?;
    let status = match written.change {
        Change::Created => StatusCode::CREATED,
        Change::Updated | Change::Unchanged => StatusCode::OK,
    };
    let json = axum::Json(ProductJson::of(&product, written.version));
    Ok((status, [(header::ETAG, entity_tag::of(written.version))], json).into_response())
}

/// `If-Match` named another version than the current one; nothing was written.
struct Stale {
    version: Option<i64>,
}

async fn write(
    db: PgPool,
    account: Account,
    product: Product,
    conditions: Conditions,
) -> anyhow::Result<Result<Written, Stale>> {
    let mut tx = db.begin().await?;
    let written = write_products(&mut tx, account, &[product]).await?;
    let written = written.first().copied().context("one product was to be written, and none was")?;
    if !conditions.allow_change_of(written.before) {
        tx.rollback().await?;
        return Ok(Err(Stale { version: written.before }));
    }
    tx.commit().await?;
    Ok(Ok(written))
}
