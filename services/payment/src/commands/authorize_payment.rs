//! Authorizes an order's total: the intent and its operation are stored as started, and then the provider is asked
//! for the money.

use std::collections::HashSet;

use makegood_contracts::{payment::AuthorizePayment, plain_text::is_plain_text, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    cashier::{Askers, Begun, Cashier},
    intent::{self, Event, Progress},
    operation::id_of_step,
    store,
};

/// Tokens and references are names; nobody needs longer ones.
const MAX_TEXT_CHARS: usize = 255;

pub async fn handle(cashier: &Cashier, jobs: &[Job<AuthorizePayment>]) -> anyhow::Result<Vec<Outcome>> {
    let refusals: Vec<Option<Outcome>> = jobs.iter().map(|job| refusal(&job.input)).collect();
    let sound: Vec<&Job<AuthorizePayment>> =
        jobs.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none()).map(|(job, _)| job).collect();
    let shops = sound.iter().map(|job| (job.input.account, job.input.amount.code()));
    cashier.accounts.ensure(&cashier.db, shops).await?;
    let mut conn = cashier.db.acquire().await?;
    let mut begun = begin(&mut conn, &sound, cashier.inquire_after_seconds).await?.into_iter();
    drop(conn);
    let begun =
        refusals.into_iter().filter_map(|refusal| refusal.map(Begun::Decided).or_else(|| begun.next())).collect();
    cashier.finish(jobs, begun).await
}

/// Why the input can never be authorized.
pub(super) fn refusal(input: &AuthorizePayment) -> Option<Outcome> {
    let is_name = |text: &str| is_plain_text(text, MAX_TEXT_CHARS);
    if input.amount.minor_units <= 0 {
        return Some(Outcome::refused("amount_invalid", format!("{} cannot be paid", input.amount)));
    }
    if !is_name(&input.payment_method) {
        return Some(Outcome::refused("payment_method_invalid", "the payment method is no token"));
    }
    if input.reference.as_deref().is_some_and(|reference| !is_name(reference)) {
        return Some(Outcome::refused("reference_invalid", "the reference is too long or has control characters"));
    }
    None
}

/// Stores intents and operations that are new, and finds the others as they are.
async fn begin(
    conn: &mut PgConnection,
    jobs: &[&Job<AuthorizePayment>],
    inquire_after_seconds: f64,
) -> anyhow::Result<Vec<Begun>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let new = insert(conn, jobs, inquire_after_seconds).await?;
    let ids: Vec<Uuid> = jobs.iter().map(|job| id_of_step(&job.key)).collect();
    let mut stored = store::operations(conn, &ids).await?;
    ids.into_iter()
        .map(|id| match stored.remove(&id) {
            Some(pair) => Begun::resume(pair, new.contains(&id)),
            // The intent is there without its authorization: its undo came first.
            None => Ok(Begun::Decided(Outcome::refused(
                "payment_canceled",
                "the payment was voided before it was authorized",
            ))),
        })
        .collect()
}

/// One statement: an operation comes only with its intent, so that whoever finds the intent there starts nothing.
async fn insert(
    conn: &mut PgConnection,
    jobs: &[&Job<AuthorizePayment>],
    inquire_after_seconds: f64,
) -> anyhow::Result<HashSet<Uuid>> {
    let started = intent::apply(Progress::new(1), Event::AuthorizationStarted)?.state;
    let askers = Askers::of(jobs.iter().copied());
    let inputs = || jobs.iter().map(|job| &job.input);
    let new: Vec<Uuid> = sqlx::query_scalar(
        r"with job as (
              select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::uuid[], $7::uuid[],
                                   $8::boolean[], $9::uuid[], $10::text[], $11::bigint[], $12::text[], $13::text[])
                   as j (saga_id, step, direction, reply_to, attempt, operation_id, account_id, livemode, order_id,
                         reference, amount_minor, currency, payment_method)
          ), intent as (
              insert into payment_intent (id, saga_id, account_id, livemode, order_id, reference, amount_minor, currency,
                                          payment_method, state, authorization_id)
              select saga_id, saga_id, account_id, livemode, order_id, reference, amount_minor, currency,
                     payment_method, $14, operation_id
              from job order by saga_id
              on conflict do nothing
              returning id, authorization_id
          )
          insert into payment_operation (operation_id, intent_id, account_id, livemode, kind, amount_minor, saga_id, step,
                                         direction, reply_to, attempt, ask_at)
          select j.operation_id, i.id, j.account_id, j.livemode, 'authorize', j.amount_minor, j.saga_id, j.step,
                 j.direction, j.reply_to, j.attempt, clock_timestamp() + make_interval(secs => $15)
          from job j join intent i on i.authorization_id = j.operation_id
          returning operation_id",
    )
    .bind(askers.sagas)
    .bind(askers.steps)
    .bind(askers.directions)
    .bind(askers.reply_tos)
    .bind(askers.attempts)
    .bind(jobs.iter().map(|job| id_of_step(&job.key)).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.account.id).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.account.livemode).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.order_id).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.reference.as_deref()).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.amount.minor_units).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.amount.code()).collect::<Vec<_>>())
    .bind(inputs().map(|input| input.payment_method.as_str()).collect::<Vec<_>>())
    .bind(started.as_str())
    .bind(inquire_after_seconds)
    .fetch_all(conn)
    .await?;
    Ok(new.into_iter().collect())
}
