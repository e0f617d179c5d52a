//! Running one request once: claim, effect and stored answer in one transaction, on a task of its own.
//!
//! The task outlives its client: one who goes away in the middle cuts no transaction, and a connection is never
//! given back between BEGIN and its end (sqlx is not cancel-safe there).

use anyhow::Context as _;
use axum::response::Response;
use futures::future::BoxFuture;
use sqlx::{PgConnection, PgPool, PgTransaction};
use tracing::Instrument as _;

use super::{Answer, Claim, Claimed, KeyQueue, Turn, claim, in_use, reused, store};
use crate::{
    failpoint::{self, Failpoint},
    http::request_id,
    problem::Problem,
};

/// What [`once`] runs: `move |tx| Box::pin(async move { … })`. Boxed, because it runs on a task of its own
/// (a client's disconnect must not cut a transaction in the middle), so its future must be `Send`.
pub type Effect<'c> = BoxFuture<'c, Result<Answer, Problem>>;

/// SQLSTATE lock_not_available: another process works on the key for longer than the pool's `lock_timeout`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Runs one request once. Without a claim it just runs in a transaction. `effect` returns the answer (2xx, or a
/// refusal with 4xx: both are stored) or a Problem for what must not be stored (parameter errors, 404, 5xx: rolled back).
///
/// A refusal is committed with whatever the effect has changed, so it must have changed nothing, or mean it.
pub async fn once<F>(db: &PgPool, claim: Option<&Claim>, effect: F) -> Result<Response, Problem>
where
    F: for<'c> FnOnce(&'c mut PgConnection) -> Effect<'c> + Send + 'static,
{
    let turn = match claim {
        Some(claim) => Some(KeyQueue::enter(claim).await?),
        None => None,
    };
    if let Some(settled) = turn.as_ref().and_then(Turn::settled) {
        return replay(settled);
    }
    let unit = unit_of_work(db.clone(), claim.cloned(), turn, effect);
    match tokio::spawn(request_id::carry(unit).in_current_span()).await {
        Ok(result) => result,
        Err(error) => Err(anyhow::Error::from(error).context("running a request's unit of work").into()),
    }
}

async fn unit_of_work<F>(db: PgPool, claim: Option<Claim>, turn: Option<Turn>, effect: F) -> Result<Response, Problem>
where
    F: for<'c> FnOnce(&'c mut PgConnection) -> Effect<'c> + Send,
{
    let mut tx = db.begin().await?;
    if let Some(claim) = &claim {
        match claim_one(&mut tx, claim).await? {
            Claimed::New => {}
            known @ (Claimed::Answered(_) | Claimed::Deferred { .. } | Claimed::Mismatch) => {
                roll_back(tx).await;
                return replay(known);
            }
        }
    }
    let answer = match effect(&mut tx).await {
        Ok(answer) if answer.status < 500 => answer,
        Ok(failure) => {
            roll_back(tx).await;
            return Ok(failure.into_response(false));
        }
        Err(problem) => {
            roll_back(tx).await;
            return Err(problem);
        }
    };
    if let Some(claim) = &claim {
        store(&mut tx, &[(claim, &answer)]).await.context("storing the answer of an idempotency key")?;
    }
    tx.commit().await.context("committing a request's effect")?;
    failpoint::pass(Failpoint::HttpBeforeAnswer);
    if let Some(mut turn) = turn {
        turn.settle(&answer);
    }
    Ok(answer.into_response(false))
}

async fn claim_one(tx: &mut PgTransaction<'_>, key: &Claim) -> Result<Claimed, Problem> {
    match claim(tx, &[(key, None)]).await {
        Ok(mut claimed) => claimed.pop().ok_or_else(|| anyhow::anyhow!("claiming one key found none").into()),
        Err(error)
            if error.as_database_error().is_some_and(|told| told.code().as_deref() == Some(LOCK_NOT_AVAILABLE)) =>
        {
            Err(in_use())
        }
        Err(error) => Err(anyhow::Error::from(error).context("claiming an idempotency key").into()),
    }
}

/// What a caller gets whose key is not new.
fn replay(claimed: Claimed) -> Result<Response, Problem> {
    match claimed {
        Claimed::Answered(answer) => Ok(answer.into_response(true)),
        Claimed::Mismatch => Err(reused()),
        Claimed::Deferred { .. } | Claimed::New => Err(in_use()),
    }
}

/// A rollback that fails ends the connection, and the server rolls back: nothing more is to be done about it.
async fn roll_back(tx: PgTransaction<'_>) {
    if let Err(error) = tx.rollback().await {
        tracing::warn!(%error, "a rollback was not acknowledged");
    }
}

#[cfg(test)]
mod tests;
