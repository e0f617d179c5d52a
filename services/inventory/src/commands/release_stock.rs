//! Undoes `hold_stock`: gives back whatever the saga still has, wherever it stands before the sale.

use makegood_contracts::{inventory::OwnHold, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

use crate::{hold::Hold, store};

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<OwnHold>]) -> anyhow::Result<Vec<Outcome>> {
    let mut holds = store::lock_holds(tx, &super::hold_ids(jobs)).await?;
    let outcomes = jobs.iter().map(|job| outcome(holds.get_mut(&job.key.saga_id))).collect();
    store::save_moved(tx, &holds).await?;
    Ok(outcomes)
}

/// No hold: it was refused, so there is nothing to give back.
fn outcome(hold: Option<&mut Hold>) -> Outcome {
    hold.map_or(Outcome::done(), |hold| super::hold_moved(hold.release()))
}
