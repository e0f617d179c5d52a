//! `POST /v1/admin/sagas/{id}/{retry,compensate,resolve}`: an operator's hand, with a reason and an audit row.
//!
//! The move, its log row and the audit row are one transaction, conditional on the saga's revision; what is to be sent
//! is published afterwards. Dying in between costs a step's timeout, nothing else.

use std::sync::{Arc, Mutex};

use axum::{extract::State, response::Response};
use makegood_chassis::{
    auth::Scope,
    entity_tag::Conditions,
    extract::Path,
    idempotency::{self, Answer, Post},
    problem::Problem,
};
use makegood_contracts::{account::Account, id::SagaId, plain_text::is_plain_text};
use makegood_saga::{event::Event, transition::Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Admin, ownership};
use crate::{definitions::Definitions, driver::Working, outgoing::Outgoing, saga_store};

/// Longest reason that is kept.
const MAX_REASON: usize = 1_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// Why, for whoever reads the audit log: 1 to 1,000 characters.
    #[schema(example = "the carrier is back")]
    reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolution {
    /// The parked step that was settled by hand.
    #[schema(example = "book_flight")]
    step: String,
    reason: String,
    /// What the step would have answered; later steps read it.
    #[serde(default)]
    output: Value,
}

/// Where the saga is after the operation.
#[derive(Debug, Serialize, ToSchema)]
struct Moved {
    id: String,
    state: String,
    /// The current step; null once ended.
    step: Option<String>,
    revision: i32,
}

/// Sends what is out, or parked, again at once, with a fresh budget of attempts.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/retry", tag = "sagas", request_body = Operation,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Moved), (status = 404), (status = 409), (status = 412)))]
pub(crate) async fn retry_saga(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<Operation>,
) -> Result<Response, Problem> {
    let reason = checked_reason(&post.body.reason)?;
    let event = Event::Retried { actor: post.caller.actor.clone(), reason };
    operate(admin, "retry", id, conditions, &post, event).await
}

/// Turns the saga around: everything it did is made good. Refused once the pivot is reached.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/compensate", tag = "sagas", request_body = Operation,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Moved), (status = 404), (status = 409), (status = 412)))]
pub(crate) async fn compensate_saga(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<Operation>,
) -> Result<Response, Problem> {
    let reason = checked_reason(&post.body.reason)?;
    let event = Event::CompensationForced { actor: post.caller.actor.clone(), reason };
    operate(admin, "compensate", id, conditions, &post, event).await
}

/// Takes a parked step as settled by hand, and goes on.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/resolve", tag = "sagas", request_body = Resolution,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Moved), (status = 404), (status = 409), (status = 412)))]
pub(crate) async fn resolve_saga(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<Resolution>,
) -> Result<Response, Problem> {
    let Resolution { step, reason, output } = &post.body;
    let reason = checked_reason(reason)?;
    let event =
        Event::Resolved { step: step.clone(), actor: post.caller.actor.clone(), reason, output: output.clone() };
    operate(admin, "resolve", id, conditions, &post, event).await
}

fn checked_reason(reason: &str) -> Result<String, Problem> {
    let reason = reason.trim();
    if !is_plain_text(reason, MAX_REASON) {
        let detail = format!("say why, in 1 to {MAX_REASON} characters, none of them a control character");
        return Err(Problem::invalid("/reason", detail));
    }
    Ok(reason.to_owned())
}

async fn operate<T>(
    admin: Admin,
    action: &'static str,
    id: String,
    conditions: Conditions,
    post: &Post<T>,
    event: Event,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Admin)?;
    let uuid = super::saga_id::parse(&id)?;
    let definitions = admin.definitions.current().await?;
    let (actor, account) = (post.caller.actor.clone(), post.caller.account);
    let to_send = Arc::new(Mutex::new(Outgoing::default()));
    let sent = Arc::clone(&to_send);
    let clock = admin.http.clock.clone();
    let answer = idempotency::once(&admin.http.db, post.claim.as_ref(), move |tx| {
        Box::pin(async move {
            let operator = Operator { definitions: &definitions, action, actor: &actor, account, now: clock.now() };
            let (answer, outgoing) = operator.act(tx, uuid, &conditions, &event).await?;
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

struct Operator<'a> {
    definitions: &'a Definitions,
    action: &'static str,
    actor: &'a str,
    account: Account,
    now: time::OffsetDateTime,
}

impl Operator<'_> {
    async fn act(
        &self,
        tx: &mut PgConnection,
        id: Uuid,
        conditions: &Conditions,
        event: &Event,
    ) -> Result<(Answer, Outgoing), Problem> {
        let shown = SagaId::from_uuid(id);
        if !ownership::is_of(tx, self.account, id).await? {
            return Err(Problem::not_found("saga", shown));
        }
        let found = saga_store::load(tx, self.definitions, &[id]).await?.remove(&id);
        let instance = found.ok_or_else(|| Problem::not_found("saga", shown))?;
        if !conditions.allow_change_of(Some(instance.revision.into())) {
            return Err(moved_meanwhile(instance.revision));
        }
        let mut working = Working::of(instance);
        if let Verdict::Refused(why) = working.apply(event, self.now)? {
            return Err(Problem::conflict("saga-not-possible", "The saga cannot do that now", why));
        }
        let (one, outgoing) = working.into_move(id);
        let answer = Moved {
            id: shown.to_string(),
            state: one.instance.state.condition().as_str().to_owned(),
            step: one.instance.state.current_step(&one.instance.definition).map(str::to_owned),
            revision: one.instance.revision,
        };
        let revision = one.instance.revision;
        if saga_store::write(tx, &[one]).await?.is_empty() {
            return Err(moved_meanwhile(revision));
        }
        self.audit(tx, id, event).await?;
        Ok((Answer::json(http::StatusCode::OK, &answer)?, outgoing))
    }

    async fn audit(&self, tx: &mut PgConnection, id: Uuid, event: &Event) -> Result<(), sqlx::Error> {
        let reason = match event {
            Event::Retried { reason, .. }
            | Event::CompensationForced { reason, .. }
            | Event::Paused { reason, .. }
            | Event::Resumed { reason, .. }
            | Event::StepSkipped { reason, .. }
            | Event::CancelledByOperator { reason, .. }
            | Event::VersionMoved { reason, .. }
            | Event::Resolved { reason, .. } => reason,
            Event::Started
            | Event::Replied { .. }
            | Event::Signalled { .. }
            | Event::Cancelled { .. }
            | Event::Woke
            | Event::Recovered => "",
        };
        sqlx::query("insert into audit (id, actor, action, saga_id, reason, detail) values ($1, $2, $3, $4, $5, $6)")
            .bind(Uuid::now_v7())
            .bind(self.actor)
            .bind(self.action)
            .bind(id)
            .bind(reason)
            .bind(sqlx::types::Json(event))
            .execute(tx)
            .await?;
        Ok(())
    }
}

fn moved_meanwhile(revision: i32) -> Problem {
    Problem::new(
        http::StatusCode::PRECONDITION_FAILED,
        "saga-moved",
        "The saga has moved meanwhile",
        format!("Its revision is {revision} by now. Read it again, and decide again."),
    )
}
