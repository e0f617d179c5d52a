//! Takes the deadline off a hold when payment starts. Against the sweeper, whoever locks the row first decides.

use makegood_contracts::{inventory::OwnHold, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

use crate::hold::{Hold, Verdict};

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<OwnHold>]) -> anyhow::Result<Vec<Outcome>> {
    super::move_own_holds(tx, jobs, |hold| super::hold_moved(hold.map_or(Verdict::Expired, Hold::extend))).await
}

#[cfg(test)]
mod tests;
