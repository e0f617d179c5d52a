//! `GET /v1/admin/dead_letters/{service}/{id}`: one letter, masked, and what operators did about it.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::id::AuditId;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::letter_json::{DeadLetterSummary, SummaryRow, not_found, parse, summary_columns};
use crate::dead_letter::{masking::masked, redriving};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterDetail {
    #[serde(flatten)]
    letter: DeadLetterSummary,
    /// What was kept of the message; fields and texts that are somebody's own are masked. Null when it is no JSON.
    payload: Option<Value>,
    payload_bytes: usize,
    /// Why it cannot be sent again; null when it can.
    not_redrivable: Option<String>,
    /// What operators did about it, oldest first.
    audit: Vec<Decided>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Decided {
    id: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    at: OffsetDateTime,
    actor: String,
    /// redrive or discard.
    action: String,
    reason: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    summary: SummaryRow,
    payload: Vec<u8>,
}

/// One dead letter.
#[utoipa::path(get, path = "/v1/admin/dead_letters/{service}/{id}", tag = "dead letters",
    params(("service" = String, Path), ("id" = String, Path, description = "`dlq_…`")),
    responses((status = 200, body = DeadLetterDetail), (status = 404)))]
pub(crate) async fn get_dead_letter(
    State(http): State<HttpContext>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterDetail>, Problem> {
    caller.require(Scope::Admin)?;
    let uuid = parse(&id)?;
    let row: Option<Row> =
        sqlx::query_as(concat!("select ", summary_columns!(), ", payload from dead_letter where id = $1"))
            .bind(uuid)
            .fetch_optional(&http.db)
            .await?;
    let Row { summary, payload } = row.ok_or_else(|| not_found(&id))?;
    let decided: Vec<(Uuid, OffsetDateTime, String, String, String)> = sqlx::query_as(
        "select id, at, actor, action, reason from dead_letter_audit where dead_letter_id = $1 order by id",
    )
    .bind(uuid)
    .fetch_all(&http.db)
    .await?;
    let decided = decided.into_iter().map(|(id, at, actor, action, reason)| Decided {
        id: AuditId::from_uuid(id).to_string(),
        at,
        actor,
        action,
        reason,
    });
    Ok(Json(DeadLetterDetail {
        not_redrivable: redriving::message(&summary.subject, &payload).err().map(str::to_owned),
        letter: summary.into(),
        payload: serde_json::from_slice(&payload).ok().map(masked),
        payload_bytes: payload.len(),
        audit: decided.collect(),
    }))
}
