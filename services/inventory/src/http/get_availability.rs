//! `GET /v1/availability/{sku}`: what a buyer can have right now. It promises nothing until it is held.

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::{account::Account, catalog::check_sku};
use serde::Serialize;
use sqlx::PgPool;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Availability {
    sku: String,
    /// Over all warehouses.
    available: i64,
    /// The preferred first.
    warehouses: Vec<WarehouseAvailability>,
}

#[derive(Debug, PartialEq, Eq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub(crate) struct WarehouseAvailability {
    code: String,
    available: i64,
}

/// Says how many units of a SKU a buyer can have, and where.
#[utoipa::path(
    operation_id = "get_availability", get, path = "/v1/availability/{sku}", tag = "inventory", params(("sku" = String, Path)),
    responses((status = 200, body = Availability), (status = 404, description = "The shop has never had this SKU"))
)]
pub(crate) async fn handle(
    State(http): State<HttpContext>,
    caller: Caller,
    Path(sku): Path<String>,
) -> Result<axum::Json<Availability>, Problem> {
    caller.require(Scope::Storefront)?;
    if check_sku(&sku).is_err() {
        return Err(Problem::not_found("SKU", &sku));
    }
    let warehouses = availability(&http.db, caller.account, &sku).await?;
    if warehouses.is_empty() {
        return Err(Problem::not_found("SKU", &sku));
    }
    let available = warehouses.iter().map(|warehouse| warehouse.available).sum();
    Ok(axum::Json(Availability { sku, available, warehouses }))
}

async fn availability(db: &PgPool, account: Account, sku: &str) -> Result<Vec<WarehouseAvailability>, sqlx::Error> {
    sqlx::query_as(
        r"
        select w.code, s.on_hand - s.held - s.allocated as available
        from stock s
        join warehouse w on w.id = s.warehouse_id
        where s.account_id = $1 and s.livemode = $2 and s.sku = $3
        order by w.priority, w.code
        ",
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(sku)
    .fetch_all(db)
    .await
}
