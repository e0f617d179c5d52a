//! Takes the authorized money, in full. This is the checkout's pivot: a capture that the provider declines (the authorization has
//! expired, the issuer says no) is its last refusal, and undoes the order; after it nothing is refused any more.

use std::collections::HashSet;

use makegood_contracts::{payment::OwnIntent, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    cashier::{Askers, Begun, Cashier},
    intent::State,
    operation::id_of_step,
    store,
};

pub async fn handle(cashier: &Cashier, jobs: &[Job<OwnIntent>]) -> anyhow::Result<Vec<Outcome>> {
    let mut conn = cashier.db.acquire().await?;
    let begun = begin(&mut conn, jobs, cashier.inquire_after_seconds).await?;
    drop(conn);
    cashier.finish(jobs, begun).await
}

async fn begin(
    conn: &mut PgConnection,
    jobs: &[Job<OwnIntent>],
    inquire_after_seconds: f64,
) -> anyhow::Result<Vec<Begun>> {
    let new = insert(conn, jobs, inquire_after_seconds).await?;
    let ids: Vec<Uuid> = jobs.iter().map(|job| id_of_step(&job.key)).collect();
    let mut stored = store::operations(conn, &ids).await?;
    let mut begun = Vec::with_capacity(jobs.len());
    for (job, id) in jobs.iter().zip(ids) {
        begun.push(match stored.remove(&id) {
            Some(pair) => Begun::resume(pair, new.contains(&id))?,
            None => Begun::Decided(uncapturable(conn, job.key.saga_id).await?),
        });
    }
    Ok(begun)
}

/// Stores the operation of every intent that can be captured.
async fn insert(
    conn: &mut PgConnection,
    jobs: &[Job<OwnIntent>],
    inquire_after_seconds: f64,
) -> anyhow::Result<HashSet<Uuid>> {
    let askers = Askers::of(jobs.iter());
    let new: Vec<Uuid> = sqlx::query_scalar(
        r"insert into payment_operation (operation_id, intent_id, account_id, livemode, kind, amount_minor, saga_id, step,
                                         direction, reply_to, attempt, ask_at)
          select j.operation_id, i.id, i.account_id, i.livemode, 'capture', i.amount_minor, j.saga_id, j.step,
                 j.direction, j.reply_to, j.attempt, clock_timestamp() + make_interval(secs => $7)
          from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::uuid[])
               as j (saga_id, step, direction, reply_to, attempt, operation_id)
          join payment_intent i on i.id = j.saga_id
          where i.state = $8
          order by j.operation_id
          on conflict (operation_id) do nothing
          returning operation_id",
    )
    .bind(askers.sagas)
    .bind(askers.steps)
    .bind(askers.directions)
    .bind(askers.reply_tos)
    .bind(askers.attempts)
    .bind(jobs.iter().map(|job| id_of_step(&job.key)).collect::<Vec<_>>())
    .bind(inquire_after_seconds)
    .bind(State::RequiresCapture.as_str())
    .fetch_all(conn)
    .await?;
    Ok(new.into_iter().collect())
}

/// Why there is nothing to capture. Rare, so one look-up each.
async fn uncapturable(conn: &mut PgConnection, intent_id: Uuid) -> anyhow::Result<Outcome> {
    let state: Option<String> = sqlx::query_scalar("select state from payment_intent where id = $1")
        .bind(intent_id)
        .fetch_optional(conn)
        .await?;
    // Nothing is held, so nothing can come.
    let unauthorized =
        |what: &str| Outcome::refused("payment_not_authorized", format!("payment intent {intent_id} {what}"));
    let Some(state) = state else {
        // An operator went on without authorizing.
        return Ok(unauthorized("was never made"));
    };
    Ok(match State::parse(&state) {
        // The authorization is not decided here yet; or it has been, between the two statements.
        Some(State::RequiresConfirmation | State::Processing | State::RequiresAction | State::RequiresCapture) => {
            Outcome::retry(format!("payment intent {intent_id} is {state}: it is not authorized yet"))
        }
        Some(State::Canceled | State::Failed) => unauthorized(&format!("is {state}")),
        Some(State::Succeeded) | None => {
            Outcome::defect(format!("payment intent {intent_id} is {state}: it cannot be captured"))
        }
    })
}
