//! What both decisions share: the letter is still open, and the decision is one transaction with its audit row and its answer.

use axum::response::Response;
use http::StatusCode;
use makegood_chassis::{
    auth::Scope,
    http::HttpContext,
    idempotency::{self, Answer, Post},
    operator_reason::checked_reason,
    problem::Problem,
};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::letter_json::{DeadLetterSummary, SummaryRow, not_found, parse, summary_columns};
use crate::dead_letter::redriving;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionReason {
    /// Why, for whoever reads the audit: 1 to 1,000 characters.
    #[schema(example = "the definition is released now")]
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Redrive,
    Discard,
}

impl Decision {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
        }
    }
}

pub(super) async fn decide(
    http: &HttpContext,
    id: String,
    post: Post<DecisionReason>,
    decision: Decision,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Admin)?;
    let Post { caller, claim, body } = post;
    let reason = checked_reason(&body.reason)?;
    let uuid = parse(&id)?;
    idempotency::once(&http.db, claim.as_ref(), move |tx| {
        Box::pin(async move {
            require_open(tx, uuid, &id, decision).await?;
            let letter: SummaryRow = sqlx::query_as(match decision {
                Decision::Redrive => {
                    concat!("update dead_letter set redrive_at = now() where id = $1 returning ", summary_columns!())
                }
                Decision::Discard => concat!(
                    "update dead_letter set resolved_at = now(), resolution = 'discarded' where id = $1 returning ",
                    summary_columns!()
                ),
            })
            .bind(uuid)
            .fetch_one(&mut *tx)
            .await?;
            sqlx::query(
                "insert into dead_letter_audit (id, dead_letter_id, actor, action, reason) values ($1, $2, $3, $4, $5)",
            )
            .bind(Uuid::now_v7())
            .bind(uuid)
            .bind(&caller.actor)
            .bind(decision.as_str())
            .bind(&reason)
            .execute(&mut *tx)
            .await?;
            let status = match decision {
                // It is sent right after, by the role's worker.
                Decision::Redrive => StatusCode::ACCEPTED,
                Decision::Discard => StatusCode::OK,
            };
            Ok(Answer::json(status, &DeadLetterSummary::from(letter))?)
        })
    })
    .await
}

/// Locks the letter, so that it is decided once.
async fn require_open(tx: &mut PgConnection, uuid: Uuid, id: &str, decision: Decision) -> Result<(), Problem> {
    let row: Option<(String, Vec<u8>, bool)> = sqlx::query_as(
        r"select subject, payload, resolved_at is null and redrive_at is null from dead_letter where id = $1 for update",
    )
    .bind(uuid)
    .fetch_optional(tx)
    .await?;
    let (subject, payload, is_open) = row.ok_or_else(|| not_found(id))?;
    if !is_open {
        let detail = "It was sent again or let go already, or is about to be sent: read it again.";
        return Err(Problem::conflict("dead-letter-decided", "The dead letter is decided", detail));
    }
    match redriving::message(&subject, &payload) {
        Err(why) if decision == Decision::Redrive => {
            Err(Problem::conflict("dead-letter-not-redrivable", "The dead letter cannot be sent again", why))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}
