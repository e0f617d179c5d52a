//! `GET /v1/admin/bulk_operations`: newest first.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    page::{After, Limit},
    problem::Problem,
};
use makegood_contracts::id::BulkOperationId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BulkOperation, Row, bulk_columns};
use crate::http::Admin;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListBulkOperations {
    /// Operations a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<After<BulkOperationId>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkOperationPage {
    data: Vec<BulkOperation>,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

/// Lists bulk operations, newest first.
#[utoipa::path(get, path = "/v1/admin/bulk_operations", tag = "sagas", params(ListBulkOperations),
    responses((status = 200, body = BulkOperationPage)))]
pub(crate) async fn list_bulk_operations(
    State(admin): State<Admin>,
    caller: Caller,
    Query(query): Query<ListBulkOperations>,
) -> Result<Json<BulkOperationPage>, Problem> {
    caller.require(Scope::Admin)?;
    let mut rows: Vec<Row> = sqlx::query_as(concat!(
        "select ",
        bulk_columns!(),
        r" from bulk_operation
           where account_id = $1 and livemode = $2 and ($3::uuid is null or id < $3) order by id desc limit $4"
    ))
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .bind(query.after.map(|After(last)| last.uuid()))
    .bind(query.limit.rows_to_read())
    .fetch_all(&admin.http.db)
    .await?;
    let next = query.limit.cut(&mut rows, |last| BulkOperationId::from_uuid(last.id).to_string());
    Ok(Json(BulkOperationPage { data: rows.into_iter().map(BulkOperation::from).collect(), next }))
}
