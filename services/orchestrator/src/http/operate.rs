//! What every operator's verb on one saga shares: `POST /v1/admin/sagas/{id}/{verb}` with a reason, a condition on the
//! saga's version, and one answer per key.

pub(super) mod cancel_saga;
pub(super) mod compensate_saga;
pub(super) mod move_saga;
pub(super) mod pause_saga;
pub(super) mod resolve_step;
pub(super) mod resume_saga;
pub(super) mod retry_saga;
pub(super) mod signal_saga;
pub(super) mod skip_step;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::response::Response;
use makegood_chassis::{
    auth::Scope,
    entity_tag::Conditions,
    idempotency::{self, Answer, Post},
    operator_reason::checked_reason,
    problem::Problem,
};
use makegood_contracts::id::SagaId;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Admin;
use crate::{
    operation::Operation,
    operator::{Operated, Operator, Position},
    outgoing::Outgoing,
    ownership, saga_store,
};

/// The body of a verb that says everything by its path, but for the reason.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperationReason {
    /// Why, for whoever reads the audit: 1 to 1,000 characters.
    #[schema(example = "the carrier is back")]
    reason: String,
}

/// Where the saga is after the operation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MovedSaga {
    id: String,
    state: String,
    /// The current step; null once ended.
    step: Option<String>,
    revision: i32,
}

impl MovedSaga {
    fn to(id: Uuid, position: Position) -> Self {
        let Position { state, step, revision } = position;
        Self { id: SagaId::from_uuid(id).to_string(), state: state.to_owned(), step, revision }
    }
}

async fn operate<T>(
    admin: Admin,
    id: &str,
    conditions: Conditions,
    post: &Post<T>,
    reason: &str,
    operation: Operation,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Admin)?;
    let reason = checked_reason(reason)?;
    let id = super::saga_id::parse(id)?;
    let definitions = admin.definitions.current().await?;
    let caller = post.caller.clone();
    let to_send = Arc::new(Mutex::new(Outgoing::default()));
    let sent = Arc::clone(&to_send);
    let clock = admin.http.clock.clone();
    let answer = idempotency::once(&admin.http.db, post.claim.as_ref(), move |tx| {
        Box::pin(async move {
            if !ownership::is_of(tx, caller.account, id).await? {
                return Err(Problem::not_found("saga", SagaId::from_uuid(id)));
            }
            let operator = Operator {
                definitions: &definitions,
                operation: &operation,
                actor: &caller.actor,
                reason: &reason,
                bulk_operation: None,
                // Now, and not when the request came: it may have waited for its key's turn, and a deadline counts from this.
                now: clock.now(),
            };
            let (answer, outgoing) = act(&operator, tx, id, &conditions).await?;
            if let Ok(mut to_send) = sent.lock() {
                *to_send = outgoing;
            }
            Ok(answer)
        })
    })
    .await?;
    let outgoing = to_send.lock().map(|mut outgoing| std::mem::take(&mut *outgoing)).unwrap_or_default();
    outgoing.publish(&admin.bus).await;
    Ok(answer)
}

async fn act(
    operator: &Operator<'_>,
    tx: &mut PgConnection,
    id: Uuid,
    conditions: &Conditions,
) -> Result<(Answer, Outgoing), Problem> {
    let found = saga_store::load(tx, operator.definitions, &[id]).await?.remove(&id);
    let instance = found.ok_or_else(|| Problem::not_found("saga", SagaId::from_uuid(id)))?;
    if !conditions.allow_change_of(Some(instance.revision.into())) {
        return Err(moved_meanwhile(&format!("Its revision is {} by now.", instance.revision)));
    }
    let mut round = operator.act(tx, HashMap::from([(id, instance)])).await?;
    let position = match round.operated.remove(&id) {
        Some(Operated::Moved(position) | Operated::Unchanged(position)) => position,
        Some(Operated::Refused(why)) => {
            return Err(Problem::conflict("saga-not-possible", "The saga cannot do that now", why));
        }
        Some(Operated::Failed(why)) => return Err(anyhow::anyhow!(why).context("operating on a saga").into()),
        Some(Operated::Raced) | None => return Err(moved_meanwhile("It moved in this very moment.")),
    };
    Ok((Answer::json(http::StatusCode::OK, &MovedSaga::to(id, position))?, round.outgoing))
}

fn moved_meanwhile(how: &str) -> Problem {
    Problem::new(
        http::StatusCode::PRECONDITION_FAILED,
        "saga-moved",
        "The saga has moved meanwhile",
        format!("{how} Read it again, and decide again."),
    )
}
