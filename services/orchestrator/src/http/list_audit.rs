//! `GET /v1/admin/audit`: what operators did, newest first, by saga, actor and action.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    page::{After, Limit},
    problem::Problem,
};
use makegood_contracts::id::{AuditId, BulkOperationId, SagaId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Admin, start_saga::START};
use crate::operation::Operation;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAudit {
    /// `sga_…`, or the checkout's `chk_…`.
    saga: Option<String>,
    /// As it stands in the rows: the first characters of the key and its name.
    actor: Option<String>,
    /// start, retry, skip, compensate, resolve, pause, resume, cancel, signal or move.
    action: Option<String>,
    /// `blk_…`: what one bulk operation did.
    bulk_operation: Option<String>,
    /// Rows a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<After<AuditId>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    data: Vec<AuditEntry>,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AuditEntry {
    #[schema(example = "aud_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    id: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    at: OffsetDateTime,
    actor: String,
    action: String,
    saga: String,
    /// Empty of a start for which none was given.
    reason: String,
    /// The event as it stands in the saga's timeline.
    detail: Option<Value>,
    /// The bulk operation that it was part of.
    bulk_operation: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    at: OffsetDateTime,
    actor: String,
    action: String,
    saga_id: Uuid,
    reason: String,
    detail: Option<Value>,
    bulk_operation_id: Option<Uuid>,
}

impl From<Row> for AuditEntry {
    fn from(row: Row) -> Self {
        Self {
            id: AuditId::from_uuid(row.id).to_string(),
            at: row.at,
            actor: row.actor,
            action: row.action,
            saga: SagaId::from_uuid(row.saga_id).to_string(),
            reason: row.reason,
            detail: row.detail,
            bulk_operation: row.bulk_operation_id.map(|id| BulkOperationId::from_uuid(id).to_string()),
        }
    }
}

fn bulk_operation_id(text: &str) -> Result<Uuid, Problem> {
    text.parse::<BulkOperationId>().map(|id| id.uuid()).map_err(|_| Problem::not_found("bulk operation", text))
}

/// Lists what operators did, newest first.
#[utoipa::path(get, path = "/v1/admin/audit", tag = "sagas", params(ListAudit),
    responses((status = 200, body = AuditPage), (status = 404), (status = 422)))]
pub(crate) async fn list_audit(
    State(admin): State<Admin>,
    caller: Caller,
    Query(query): Query<ListAudit>,
) -> Result<Json<AuditPage>, Problem> {
    caller.require(Scope::Admin)?;
    let is_known = |action: &str| action == START || Operation::ACTIONS.contains(&action);
    if let Some(action) = query.action.as_deref().filter(|action| !is_known(action)) {
        let known = [&[START][..], &Operation::ACTIONS].concat().join(", ");
        return Err(Problem::invalid("/action", format!("`{action}` is nothing that operators do: {known}")));
    }
    let mut tx = admin.http.db.begin().await?;
    // Planned with the filters at hand, so that the index that fits them is used.
    sqlx::query("set local plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    let mut rows: Vec<Row> = sqlx::query_as(
        r"select id, at, actor, action, saga_id, reason, detail, bulk_operation_id from audit
          where coalesce(account_id = $1, true) and coalesce(livemode = $2, true)
            and ($3::uuid is null or saga_id = $3)
            and ($4::text is null or actor = $4)
            and ($5::text is null or action = $5)
            and ($6::uuid is null or bulk_operation_id = $6)
            and ($7::uuid is null or id < $7)
          order by id desc limit $8",
    )
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .bind(query.saga.as_deref().map(super::saga_id::parse).transpose()?)
    .bind(&query.actor)
    .bind(&query.action)
    .bind(query.bulk_operation.as_deref().map(bulk_operation_id).transpose()?)
    .bind(query.after.map(|After(last)| last.uuid()))
    .bind(query.limit.rows_to_read())
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let next = query.limit.cut(&mut rows, |last| AuditId::from_uuid(last.id).to_string());
    Ok(Json(AuditPage { data: rows.into_iter().map(AuditEntry::from).collect(), next }))
}
