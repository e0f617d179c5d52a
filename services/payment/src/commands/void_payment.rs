//! Makes an authorization good again, whether it is known, under way, or has never come.
//!
//! The provider's void does both: it lets an authorization's money go, and one that it never saw it will refuse,
//! should it still arrive. It also says which it was, so an authorization of unknown outcome is not asked about first:
//! between the question and the void it could arrive. An undo that overtakes its action leaves nothing behind on either
//! side: a tombstone in the barrier, a canceled intent here, a refusal there.

use std::collections::HashSet;

use makegood_contracts::{
    command::{Direction, StepKey},
    payment::AuthorizePayment,
    reply::Outcome,
};
use makegood_messaging::{barrier, participant::Job};
use sqlx::PgConnection;
use uuid::Uuid;

use super::authorize_payment::refusal;
use crate::{
    cashier::{Askers, Begun, Cashier},
    intent::{Progress, State},
    operation::id_of_step,
    store,
};

/// The states from which an intent can be called off.
const VOIDABLE: [State; 4] =
    [State::RequiresConfirmation, State::Processing, State::RequiresAction, State::RequiresCapture];

pub async fn handle(cashier: &Cashier, jobs: &[Job<AuthorizePayment>]) -> anyhow::Result<Vec<Outcome>> {
    let is_sound: Vec<bool> = jobs.iter().map(|job| refusal(&job.input).is_none()).collect();
    let sound: Vec<&Job<AuthorizePayment>> =
        jobs.iter().zip(&is_sound).filter(|(_, sound)| **sound).map(|(job, _)| job).collect();
    let shops = sound.iter().map(|job| (job.input.account, job.input.amount.code()));
    cashier.accounts.ensure(&cashier.db, shops).await?;
    let mut tx = cashier.db.begin().await?;
    barrier::entomb(&mut tx, &jobs.iter().map(|job| &job.key).collect::<Vec<_>>()).await?;
    let mut begun = begin(&mut tx, &sound, cashier.inquire_after_seconds).await?.into_iter();
    tx.commit().await?;
    // What was always refused never took effect: it is undone by saying so.
    let begun = is_sound
        .into_iter()
        .filter_map(|sound| if sound { begun.next() } else { Some(Begun::Decided(Outcome::done())) })
        .collect();
    cashier.finish(jobs, begun).await
}

async fn begin(
    conn: &mut PgConnection,
    jobs: &[&Job<AuthorizePayment>],
    inquire_after_seconds: f64,
) -> anyhow::Result<Vec<Begun>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    insert_intents(conn, jobs).await?;
    let new = insert_operations(conn, jobs, inquire_after_seconds).await?;
    let ids: Vec<Uuid> = jobs.iter().map(|job| id_of_step(&job.key)).collect();
    let mut stored = store::operations(conn, &ids).await?;
    let mut begun = Vec::with_capacity(jobs.len());
    for (job, id) in jobs.iter().zip(ids) {
        begun.push(match stored.remove(&id) {
            Some(pair) => Begun::resume(pair, new.contains(&id))?,
            None => Begun::Decided(unvoidable(conn, job.key.saga_id).await?),
        });
    }
    Ok(begun)
}

/// The operation that this undo undoes.
fn authorization_id(undo: &StepKey) -> Uuid {
    id_of_step(&StepKey { direction: Direction::Do, ..undo.clone() })
}

/// Intents whose authorization never came are made here, so that it finds them when it does.
async fn insert_intents(conn: &mut PgConnection, jobs: &[&Job<AuthorizePayment>]) -> Result<(), sqlx::Error> {
    let inputs = || jobs.iter().map(|job| &job.input);
    sqlx::query(
        r"insert into payment_intent (id, saga_id, account_id, livemode, order_id, reference, amount_minor, currency,
                                      payment_method, state, authorization_id)
          select j.saga_id, j.saga_id, j.account_id, j.livemode, j.order_id, j.reference, j.amount_minor, j.currency,
                 j.payment_method, $10, j.authorization_id
          from unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::uuid[], $5::text[], $6::bigint[], $7::text[],
                      $8::text[], $9::uuid[])
               as j (saga_id, account_id, livemode, order_id, reference, amount_minor, currency, payment_method,
                     authorization_id)
          order by j.saga_id
          on conflict do nothing",
    )
    .bind(jobs.iter().map(|job| job.key.saga_id).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.account.id).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.account.livemode).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.order_id).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.reference.as_deref()).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.amount.minor_units).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.amount.code()).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.payment_method.as_str()).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| authorization_id(&job.key)).collect::<Vec<_>>())
    .bind(Progress::new(1).state.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// A void is started for every intent that can be called off and of which nothing is being captured.
async fn insert_operations(
    conn: &mut PgConnection,
    jobs: &[&Job<AuthorizePayment>],
    inquire_after_seconds: f64,
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let askers = Askers::of(jobs.iter().copied());
    let new: Vec<Uuid> = sqlx::query_scalar(
        r"insert into payment_operation (operation_id, intent_id, account_id, livemode, kind, amount_minor, saga_id, step,
                                         direction, reply_to, attempt, ask_at)
          select j.operation_id, i.id, i.account_id, i.livemode, 'void', i.amount_minor, j.saga_id, j.step, j.direction,
                 j.reply_to, j.attempt, clock_timestamp() + make_interval(secs => $7)
          from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::uuid[])
               as j (saga_id, step, direction, reply_to, attempt, operation_id)
          join payment_intent i on i.id = j.saga_id
          where i.state = any($8)
            and not exists (select from payment_operation c
                            where c.intent_id = i.id and c.kind = 'capture' and c.state <> 'declined')
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
    .bind(VOIDABLE.map(State::as_str).to_vec())
    .fetch_all(conn)
    .await?;
    Ok(new.into_iter().collect())
}

/// What is answered for an intent that a void was not started for. Rare, so one look-up each.
async fn unvoidable(conn: &mut PgConnection, intent_id: Uuid) -> anyhow::Result<Outcome> {
    let state: Option<String> = sqlx::query_scalar("select state from payment_intent where id = $1")
        .bind(intent_id)
        .fetch_optional(conn)
        .await?;
    Ok(match state.as_deref().and_then(State::parse) {
        // Nothing is held: declined, or called off before.
        Some(State::Failed | State::Canceled) => Outcome::done(),
        Some(State::Succeeded | State::RequiresCapture) => Outcome::defect(format!(
            "payment intent {intent_id} is captured or being captured: it is refunded, not voided"
        )),
        Some(State::RequiresConfirmation | State::Processing | State::RequiresAction) => {
            Outcome::retry(format!("payment intent {intent_id} changed meanwhile"))
        }
        None => Outcome::defect(format!("payment intent {intent_id} is in a state of another build")),
    })
}
