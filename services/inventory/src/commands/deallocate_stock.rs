//! Undoes `allocate_stock`: the hold is extended again and waits for its release.

use makegood_contracts::{inventory::OwnHold, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

use crate::hold::Hold;

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<OwnHold>]) -> anyhow::Result<Vec<Outcome>> {
    super::move_own_holds(tx, jobs, outcome).await
}

/// No hold: nothing was allocated.
fn outcome(hold: Option<&mut Hold>) -> Outcome {
    hold.map_or(Outcome::done(), |hold| super::hold_moved(hold.deallocate()))
}
