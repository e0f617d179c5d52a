//! Operations on many sagas: asked for by filter, counted by a dry run, worked in the background, looked at, stopped.

pub(super) mod get_bulk_operation;
pub(super) mod list_bulk_operations;
pub(super) mod start_bulk_operation;
pub(super) mod stop_bulk_operation;

use makegood_chassis::problem::Problem;
use makegood_contracts::{account::Account, id::BulkOperationId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgExecutor, types::Json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::saga_filter::SagaFilter;

/// An operation on many sagas, and how far it has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkOperation {
    #[schema(example = "blk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    id: String,
    /// retry, skip, compensate, resolve, pause, resume, cancel, signal or move.
    action: String,
    /// The action with its own fields.
    operation: Value,
    filter: SagaFilter,
    actor: String,
    reason: String,
    /// `running`, `done`, or `stopped` by an operator.
    state: String,
    rate_per_second: i32,
    /// Sagas that matched when it was asked for.
    matches: i64,
    /// Sagas that it was done to, each with a row in the audit.
    done: i64,
    /// Sagas that could not do it, or did not fit the filter any more when their turn came.
    refused: i64,
    /// Sagas that could not be worked at all.
    failed: i64,
    stopped_by: Option<String>,
    stop_reason: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    ended_at: Option<OffsetDateTime>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    operation: Json<Value>,
    filter: Json<SagaFilter>,
    actor: String,
    reason: String,
    state: String,
    rate_per_second: i32,
    matches: i64,
    done: i64,
    refused: i64,
    failed: i64,
    stopped_by: Option<String>,
    stop_reason: Option<String>,
    created_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
}

/// The columns of [`Row`].
macro_rules! bulk_columns {
    () => {
        r"id, operation, filter, actor, reason, state, rate_per_second, matches, done, refused, failed, stopped_by,
          stop_reason, created_at, ended_at"
    };
}
use bulk_columns;

impl From<Row> for BulkOperation {
    fn from(row: Row) -> Self {
        Self {
            id: BulkOperationId::from_uuid(row.id).to_string(),
            action: row.operation.0["action"].as_str().unwrap_or_default().to_owned(),
            operation: row.operation.0,
            filter: row.filter.0,
            actor: row.actor,
            reason: row.reason,
            state: row.state,
            rate_per_second: row.rate_per_second,
            matches: row.matches,
            done: row.done,
            refused: row.refused,
            failed: row.failed,
            stopped_by: row.stopped_by,
            stop_reason: row.stop_reason,
            created_at: row.created_at,
            ended_at: row.ended_at,
        }
    }
}

fn parse(text: &str) -> Result<Uuid, Problem> {
    text.parse::<BulkOperationId>().map(|id| id.uuid()).map_err(|_| Problem::not_found("bulk operation", text))
}

/// An account's operation. Another account's is not there.
async fn find(executor: impl PgExecutor<'_>, account: Account, id: Uuid) -> Result<BulkOperation, Problem> {
    let row: Option<Row> = sqlx::query_as(concat!(
        "select ",
        bulk_columns!(),
        " from bulk_operation where id = $1 and account_id = $2 and livemode = $3"
    ))
    .bind(id)
    .bind(account.id)
    .bind(account.livemode)
    .fetch_optional(executor)
    .await?;
    row.map(BulkOperation::from).ok_or_else(|| Problem::not_found("bulk operation", BulkOperationId::from_uuid(id)))
}
