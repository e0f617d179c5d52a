//! `GET /v1/admin/warehouses`: all of a shop's warehouses, the preferred first.

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    http::HttpContext,
    problem::Problem,
};
use serde::Serialize;

use super::put_warehouse::Warehouse;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Warehouses {
    data: Vec<Warehouse>,
}

/// Lists all warehouses, in the order in which stock is taken from them.
#[utoipa::path(
    operation_id = "list_warehouses", get, path = "/v1/admin/warehouses", tag = "inventory",
    responses((status = 200, body = Warehouses))
)]
pub(crate) async fn handle(State(http): State<HttpContext>, caller: Caller) -> Result<axum::Json<Warehouses>, Problem> {
    caller.require(Scope::Server)?;
    let data = sqlx::query_as(
        r"
        select code, priority from warehouse
        where account_id = $1 and livemode = $2
        order by priority, code
        ",
    )
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .fetch_all(&http.db)
    .await?;
    Ok(axum::Json(Warehouses { data }))
}
