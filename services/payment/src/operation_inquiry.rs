//! Asks the provider about operations of which nothing, or nothing final, was heard, and settles them.
//!
//! This is what makes an unknown outcome end: a lost answer, a buyer who authenticates after the saga's step was told
//! `pending`, a refund that an operator asked for, a callback (which only makes its operation due). Whatever is asked about
//! goes through the same [`settle`] as an answer at first hand.

use std::time::Duration;

use makegood_contracts::{command::StepKey, reply::Outcome};
use makegood_messaging::{participant::reply_later, worker::Worker};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    cashier::Cashier,
    provider::Errand,
    settlement::{Settled, settle},
    store,
};

/// Operations asked about in one round: a few times what may be in flight, so that a round lasts seconds at most.
const MAX_ASKED: i64 = 256;
/// Between rounds when nothing was due. A buyer who has authenticated waits for about this long.
const IDLE_DELAY: Duration = Duration::from_millis(500);
/// While a round asks, nobody else does; if it dies, they are due again after this. Longer than a round in which all
/// requests time out.
const LEASE_SECONDS: f64 = 90.0;

/// A decision to be told: the step, where it wants its reply, and the outcome.
pub type Decision = (StepKey, String, Outcome);

/// Asks in rounds until shutdown.
pub async fn run(worker: Worker, cashier: &Cashier) -> anyhow::Result<()> {
    while !worker.shutdown.has_begun() {
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
    let pairs = store::operations(&mut conn, &ids).await?;
    drop(conn);
    let undecided = pairs.into_values().filter(|(operation, _)| !operation.state.is_decided());
    let errands = undecided.map(|(operation, intent)| Errand { operation, intent, ask_first: true }).collect();
    let verdicts = cashier.provider.carry_out(errands).await;
    let (settled, _) = settle(&cashier.db, verdicts, &[]).await?;
    Ok((ids.len(), settled.into_iter().filter_map(decision).collect()))
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
