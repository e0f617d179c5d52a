//! Asks the provider about operations of which nothing, or nothing final, was heard, and settles them.
//!
//! This is what makes an unknown outcome end: a lost answer, a buyer who authenticates after the saga's step was told
//! `pending`, a refund that an operator asked for, a callback (which only makes its operation due). Whatever is asked about
//! goes through the same [`settle`] as an answer at first hand. What cannot be read or booked holds up no other: it is left out, and
//! comes back when its lease ends.

use std::time::Duration;

use makegood_contracts::{command::StepKey, reply::Outcome};
use makegood_messaging::{
    lasting::{halve, is_lasting},
    participant::reply_later,
    worker::Worker,
};
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    cashier::Cashier,
    provider::Errand,
    settlement::{Settled, Verdict, is_lost_race, settle},
    store,
};

/// Operations asked about in one round: a few times what may be in flight, so that a round lasts seconds at most.
const MAX_ASKED: i64 = 256;
/// Between rounds when nothing was due. A buyer who has authenticated waits for about this long.
const IDLE_DELAY: Duration = Duration::from_millis(500);
/// While a round asks, nobody else does; if it dies, they are due again after this. Longer than a round in which all
/// requests time out.
const LEASE_SECONDS: f64 = 90.0;

/// How long the events of callbacks are kept, to know them again: the provider repeats one for hours at most.
const CALLBACKS_KEPT_DAYS: i32 = 7;
/// Between looks for callbacks to be forgotten, once there are no more.
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// In one statement: some tens of milliseconds, between two rounds of asking.
const FORGOTTEN_AT_ONCE: i64 = 5_000;

/// A decision to be told: the step, where it wants its reply, and the outcome.
pub type Decision = (StepKey, String, Outcome);

/// Asks in rounds until shutdown.
pub async fn run(worker: Worker, cashier: &Cashier) -> anyhow::Result<()> {
    let mut forget_at = Instant::now();
    while !worker.shutdown.has_begun() {
        if forget_at <= Instant::now() {
            match forget_callbacks(&worker.db).await {
                // There may be more.
                Ok(forgotten) if forgotten >= FORGOTTEN_AT_ONCE.unsigned_abs() => {}
                Ok(_) => forget_at = Instant::now() + FORGET_EVERY,
                Err(error) => {
                    tracing::warn!(%error, "old callbacks were not forgotten; trying again");
                    forget_at = Instant::now() + FORGET_EVERY;
                }
            }
        }
        let asked = match ask_due(cashier).await {
            Ok((asked, decisions)) => {
                tell(&worker, decisions).await;
                asked
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "operations could not be asked about; trying again");
                0
            }
        };
        if asked == 0 {
            worker.shutdown.pause(IDLE_DELAY).await;
        }
    }
    Ok(())
}

/// A reply that is lost here is no loss: the step is asked again, and answered from the barrier.
async fn tell(worker: &Worker, decisions: Vec<Decision>) {
    if decisions.is_empty() {
        return;
    }
    if let Err(error) = reply_later(worker, decisions).await {
        tracing::warn!(error = format!("{error:#}"), "late decisions could not be told; their steps will ask");
    }
}

/// One round: how many operations were asked about, and what was decided that a step waits for.
pub async fn ask_due(cashier: &Cashier) -> anyhow::Result<(usize, Vec<Decision>)> {
    let ids = take_due(&cashier.db).await?;
    if ids.is_empty() {
        return Ok((0, Vec::new()));
    }
    let mut conn = cashier.db.acquire().await?;
    let pairs = store::readable_operations(&mut conn, &ids).await?;
    drop(conn);
    let undecided = pairs.into_iter().filter(|(operation, _)| !operation.state.is_decided());
    let errands = undecided.map(|(operation, intent)| Errand { operation, intent, ask_first: true }).collect();
    let verdicts = cashier.provider.carry_out(errands).await;
    Ok((ids.len(), settle_each(cashier, &verdicts).await?))
}

/// All at once; where that can never be, in ever smaller parts.
async fn settle_each(cashier: &Cashier, verdicts: &[Verdict]) -> anyhow::Result<Vec<Decision>> {
    let mut decisions = Vec::new();
    let mut parts = vec![verdicts];
    while let Some(part) = parts.pop() {
        match settle(&cashier.db, part.to_vec(), &[]).await {
            Ok((settled, _)) => decisions.extend(settled.into_iter().filter_map(decision)),
            Err(error) if is_lasting(&error) && !is_lost_race(&error) && part.len() > 1 => halve(&mut parts, part),
            Err(error) if is_lasting(&error) && !is_lost_race(&error) => {
                let operation = part.first().map(|verdict| verdict.operation.id);
                tracing::error!(operation_id = ?operation, error = format!("{error:#}"), "an operation cannot be settled");
            }
            // What was settled before is told nonetheless.
            Err(error) if decisions.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "some operations are settled after their lease");
                break;
            }
        }
    }
    Ok(decisions)
}

/// Forgets callbacks that nobody repeats any more.
pub async fn forget_callbacks(db: &PgPool) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query(
        r"delete from provider_callback
          where event_id in (select event_id from provider_callback where received_at < now() - make_interval(days => $1)
                             order by received_at limit $2 for update skip locked)",
    )
    .bind(CALLBACKS_KEPT_DAYS)
    .bind(FORGOTTEN_AT_ONCE)
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}

/// What is new and lasting; a failure is for the step's own next attempt to find.
fn decision(Settled { asker, outcome, changed }: Settled) -> Option<Decision> {
    let lasting = !matches!(outcome, Outcome::Failed { .. });
    asker.filter(|_| changed && lasting).map(|asker| (asker.key, asker.reply_to, outcome))
}

async fn take_due(db: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        r"update payment_operation
          set ask_at = clock_timestamp() + make_interval(secs => $1)
          where operation_id in (select operation_id from payment_operation where ask_at <= clock_timestamp()
                                 order by ask_at limit $2 for update skip locked)
          returning operation_id",
    )
    .bind(LEASE_SECONDS)
    .bind(MAX_ASKED)
    .fetch_all(db)
    .await
}
