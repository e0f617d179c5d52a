//! Undoes `hold_stock`: gives back whatever the saga still has, wherever it stands before the sale.

use makegood_contracts::{inventory::OwnHold, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

use crate::hold::Hold;

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<OwnHold>]) -> anyhow::Result<Vec<Outcome>> {
    super::move_own_holds(tx, jobs, outcome).await
}

/// No hold: it was refused, so there is nothing to give back.
fn outcome(hold: Option<&mut Hold>) -> Outcome {
    hold.map_or(Outcome::done(), |hold| super::hold_moved(hold.release()))
}
