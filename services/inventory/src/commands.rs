//! The commands of the inventory: the one list.
//!
//! Each handler takes a whole batch in at most three round trips: it locks, decides by a pure rule, and writes once.

mod allocate_stock;
mod commit_stock;
mod hold_stock;
mod release_stock;
mod restock_return;
mod restock_sale;

use makegood_contracts::{inventory::OwnHold, reply::Outcome};
use makegood_messaging::{
    participant::{Job, Participant},
    worker::Worker,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    config::Config,
    hold::{Hold, State, Verdict},
    store,
};

pub(crate) fn participant(worker: Worker, config: &Config) -> Participant {
    let ttl_seconds = config.hold_ttl_seconds;
    Participant::new("inventory", worker)
        .action("hold_stock", async move |tx: &mut PgConnection, jobs: &[Job<_>]| {
            hold_stock::handle(tx, jobs, ttl_seconds).await
        })
        .undo("release_stock", release_stock::handle)
        .action("allocate_stock", allocate_stock::handle)
        .action("commit_stock", commit_stock::handle)
        .action("restock_sale", restock_sale::handle)
        .action("restock_return", restock_return::handle)
}

/// A hold has its saga's id.
fn hold_ids<I>(jobs: &[Job<I>]) -> Vec<Uuid> {
    jobs.iter().map(|job| job.key.saga_id).collect()
}

/// Moves the hold of each job's saga, where there is one, and writes what has moved.
async fn move_own_holds(
    tx: &mut PgConnection,
    jobs: &[Job<OwnHold>],
    moved: impl Fn(Option<&mut Hold>) -> Outcome,
) -> anyhow::Result<Vec<Outcome>> {
    let mut holds = store::lock_holds(tx, &hold_ids(jobs)).await?;
    let outcomes = jobs.iter().map(|job| moved(holds.get_mut(&job.key.saga_id))).collect();
    store::save_moved(tx, &holds).await?;
    Ok(outcomes)
}

/// The answer of a step that moves a hold. A hold that is not there cannot be told from one that ended long ago.
fn hold_moved(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Done => Outcome::done(),
        Verdict::Expired => Outcome::refused("hold_expired", "The time for which the stock was held is over."),
        Verdict::Illegal(state) => illegal(state),
    }
}

fn illegal(state: State) -> Outcome {
    Outcome::defect(format!("The hold is {}: this step cannot follow.", state.as_str()))
}

#[cfg(test)]
mod tests;
