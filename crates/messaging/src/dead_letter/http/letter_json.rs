//! A dead letter as operators see it.

use makegood_chassis::problem::Problem;
use makegood_contracts::id::DeadLetterId;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::dead_letter::masking::masked_text;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterSummary {
    #[schema(example = "dlq_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    id: String,
    /// Where it came from: `cmd.…`, `evt.…` or `reply.…`; or the verb of the command that could not be done.
    subject: String,
    /// Why it could not be handled.
    reason: String,
    /// `waiting` for an operator; `redriving`: about to be sent again; `redriven`; `discarded`.
    state: String,
    /// How often it had been delivered when it was given up.
    deliveries: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    parked_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    resolved_at: Option<OffsetDateTime>,
}

#[derive(sqlx::FromRow)]
pub(super) struct SummaryRow {
    pub(super) id: Uuid,
    pub(super) subject: String,
    reason: String,
    pub(super) state: String,
    deliveries: i64,
    parked_at: OffsetDateTime,
    resolved_at: Option<OffsetDateTime>,
}

/// The columns of [`SummaryRow`]. Letters that were resolved by hand, in the database, count as let go.
macro_rules! summary_columns {
    () => {
        r"id, subject, reason, deliveries, parked_at, resolved_at,
          case when resolved_at is not null and resolution = 'redriven' then 'redriven'
               when resolved_at is not null then 'discarded'
               when redrive_at is not null then 'redriving'
               else 'waiting' end as state"
    };
}
pub(super) use summary_columns;

impl From<SummaryRow> for DeadLetterSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            id: DeadLetterId::from_uuid(row.id).to_string(),
            subject: row.subject,
            reason: masked_text(&row.reason),
            state: row.state,
            deliveries: row.deliveries,
            parked_at: row.parked_at,
            resolved_at: row.resolved_at,
        }
    }
}

pub(super) fn parse(id: &str) -> Result<Uuid, Problem> {
    id.parse::<DeadLetterId>().map(|id| id.uuid()).map_err(|_| not_found(id))
}

pub(super) fn not_found(id: &str) -> Problem {
    Problem::not_found("dead letter", id)
}
