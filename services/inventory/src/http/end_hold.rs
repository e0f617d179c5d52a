//! `POST /v1/admin/holds/{id}/commit` and `…/release`: an operator ends a hold whose saga went on without the step that would have.
//!
//! A step that was skipped or settled by hand is nobody's any more: the saga ends, and what it held would stay held for ever. It is for sagas
//! that have ended: one that still runs and finds its hold given back turns around only where it was not allocated yet. Else it takes the buyer's
//! money and parks at `commit_stock`; to stop an order, cancel its saga.

use std::collections::HashMap;

use axum::{extract::State, http::StatusCode, response::Response};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    idempotency::{self, Answer, Post},
    operator_reason::checked_reason,
    problem::Problem,
};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::hold_json::{self, HoldJson};
use crate::{
    hold::{Hold, Verdict},
    store,
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndHold {
    /// Why, in 1 to 1,000 characters: it is kept with the name of the key.
    reason: String,
}

/// Books the goods out: they have left, or will. Only what is allocated is sold.
#[utoipa::path(
    operation_id = "commit_hold", post, path = "/v1/admin/holds/{id}/commit", tag = "inventory", request_body = EndHold,
    params(
        ("id" = String, Path, description = "The checkout's id, or its saga's"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters"),
    ),
    responses(
        (status = 200, description = "It is committed, now or already", body = HoldJson),
        (status = 404, description = "The checkout holds and held nothing"),
        (status = 409, description = "`hold-not-possible`: its state does not allow it"),
        (status = 422, description = "The reason says nothing")
    )
)]
pub(crate) async fn commit(
    State(http): State<HttpContext>,
    Path(id): Path<String>,
    post: Post<EndHold>,
) -> Result<Response, Problem> {
    end(&http, &id, post, Hold::commit).await
}

/// Gives the goods back: they can be sold to others.
#[utoipa::path(
    operation_id = "release_hold", post, path = "/v1/admin/holds/{id}/release", tag = "inventory", request_body = EndHold,
    params(
        ("id" = String, Path, description = "The checkout's id, or its saga's"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters"),
    ),
    responses(
        (status = 200, description = "It is released, now or already", body = HoldJson),
        (status = 404, description = "The checkout holds and held nothing"),
        (status = 409, description = "`hold-not-possible`: its state does not allow it"),
        (status = 422, description = "The reason says nothing")
    )
)]
pub(crate) async fn release(
    State(http): State<HttpContext>,
    Path(id): Path<String>,
    post: Post<EndHold>,
) -> Result<Response, Problem> {
    end(&http, &id, post, Hold::release).await
}

async fn end(
    http: &HttpContext,
    id: &str,
    post: Post<EndHold>,
    verb: fn(&mut Hold) -> Verdict,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Admin)?;
    let reason = checked_reason(&post.body.reason)?;
    let id = hold_json::parse(id)?;
    let caller = post.caller;
    idempotency::once(&http.db, post.claim.as_ref(), move |tx| {
        Box::pin(async move { end_once(tx, &caller, id, &reason, verb).await })
    })
    .await
}

async fn end_once(
    tx: &mut PgConnection,
    caller: &Caller,
    id: Uuid,
    reason: &str,
    verb: fn(&mut Hold) -> Verdict,
) -> Result<Answer, Problem> {
    hold_json::find(&mut *tx, caller.account, id).await?;
    let mut hold = store::lock_holds(tx, &[id]).await?.remove(&id).ok_or_else(|| anyhow::anyhow!("a hold is gone"))?;
    match verb(&mut hold) {
        Verdict::Done => {}
        Verdict::Expired | Verdict::Illegal(_) => {
            let detail = format!(
                "It is {}: only what is allocated is sold, and what is sold is not given back.",
                hold.state().as_str()
            );
            return Err(Problem::conflict("hold-not-possible", "The hold cannot be ended so", detail));
        }
    }
    if hold.posting().is_some() {
        note(tx, caller, id, reason, hold.state().as_str()).await?;
        store::save_moved(tx, &HashMap::from([(id, hold)])).await?;
    }
    let found = hold_json::find(&mut *tx, caller.account, id).await?;
    Ok(Answer::json(StatusCode::OK, &found)?)
}

async fn note(
    tx: &mut PgConnection,
    caller: &Caller,
    id: Uuid,
    reason: &str,
    ended_as: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into hold_ending (hold_id, ended_as, actor, reason) values ($1, $2, $3, $4)")
        .bind(id)
        .bind(ended_as)
        .bind(&caller.actor)
        .bind(reason)
        .execute(tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
