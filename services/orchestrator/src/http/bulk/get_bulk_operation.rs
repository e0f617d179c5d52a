//! `GET /v1/admin/bulk_operations/{id}`: how far it has come, and which sagas it could not be done to.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    problem::Problem,
};
use makegood_contracts::id::SagaId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::BulkOperation;
use crate::http::Admin;

/// Enough to see what is wrong; the list of sagas has the rest.
const MAX_SHOWN: i64 = 20;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkOperationDetail {
    #[serde(flatten)]
    operation: BulkOperation,
    /// The first 20 sagas that it could not be done to.
    not_done: Vec<NotDone>,
}

#[derive(Debug, Serialize, ToSchema)]
struct NotDone {
    #[schema(example = "sga_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    saga: String,
    /// `refused` or `failed`.
    outcome: String,
    detail: String,
}

/// A bulk operation and how far it has come.
#[utoipa::path(get, path = "/v1/admin/bulk_operations/{id}", tag = "sagas", params(("id" = String, Path)),
    responses((status = 200, body = BulkOperationDetail), (status = 404)))]
pub(crate) async fn get_bulk_operation(
    State(admin): State<Admin>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<BulkOperationDetail>, Problem> {
    caller.require(Scope::Admin)?;
    let id = super::parse(&id)?;
    let operation = super::find(&admin.http.db, caller.account, id).await?;
    let not_done: Vec<(Uuid, String, String)> = sqlx::query_as(
        r"select saga_id, outcome, detail from bulk_operation_saga
          where bulk_operation_id = $1 and outcome is not null order by saga_id limit $2",
    )
    .bind(id)
    .bind(MAX_SHOWN)
    .fetch_all(&admin.http.db)
    .await?;
    let shown = |(saga, outcome, detail)| NotDone { saga: SagaId::from_uuid(saga).to_string(), outcome, detail };
    Ok(Json(BulkOperationDetail { operation, not_done: not_done.into_iter().map(shown).collect() }))
}
