//! `PUT /v1/admin/warehouses/{code}`: a warehouse exists, with this priority.

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::{Json, Path},
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::account::Account;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::warehouse_code::is_warehouse_code;

/// Room for any ordering that a person can think of.
const PRIORITY_MAX: i32 = 1_000_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutWarehouse {
    /// Lower is preferred when an order is routed; 0 to 1,000,000.
    priority: i32,
}

#[derive(Debug, PartialEq, Eq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub(crate) struct Warehouse {
    pub(crate) code: String,
    pub(crate) priority: i32,
}

/// Makes a warehouse, or changes its priority.
#[utoipa::path(
    operation_id = "put_warehouse", put, path = "/v1/admin/warehouses/{code}", tag = "inventory", request_body = PutWarehouse,
    params(("code" = String, Path, description = "1 to 32 of A-Z a-z 0-9 . _ -")),
    responses((status = 200, body = Warehouse), (status = 422, description = "The code or the priority cannot be used"))
)]
pub(crate) async fn handle(
    State(http): State<HttpContext>,
    caller: Caller,
    Path(code): Path<String>,
    Json(body): Json<PutWarehouse>,
) -> Result<axum::Json<Warehouse>, Problem> {
    caller.require(Scope::Server)?;
    if !is_warehouse_code(&code) {
        return Err(Problem::invalid("", "A warehouse's code has 1 to 32 of the characters A-Z a-z 0-9 . _ -"));
    }
    if !(0..=PRIORITY_MAX).contains(&body.priority) {
        return Err(Problem::invalid("/priority", format!("The priority must be between 0 and {PRIORITY_MAX}.")));
    }
    Ok(axum::Json(put(&http.db, caller.account, &code, body.priority).await?))
}

pub(crate) async fn put(db: &PgPool, account: Account, code: &str, priority: i32) -> Result<Warehouse, sqlx::Error> {
    sqlx::query_as(
        r"
        insert into warehouse (account_id, livemode, code, priority) values ($1, $2, $3, $4)
        on conflict (account_id, livemode, code) do update set priority = excluded.priority
        returning code, priority
        ",
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(code)
    .bind(priority)
    .fetch_one(db)
    .await
}
