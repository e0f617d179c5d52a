//! Takes the deadline off a hold when payment starts. Against the sweeper, whoever locks the row first decides.

use makegood_contracts::{inventory::OwnHold, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

use crate::{
    hold::{Hold, Verdict},
    store,
};

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<OwnHold>]) -> anyhow::Result<Vec<Outcome>> {
    let mut holds = store::lock_holds(tx, &super::hold_ids(jobs)).await?;
    let outcomes = jobs
        .iter()
        .map(|job| super::hold_moved(holds.get_mut(&job.key.saga_id).map_or(Verdict::Expired, Hold::extend)))
        .collect();
    store::save_moved(tx, &holds).await?;
    Ok(outcomes)
}

#[cfg(test)]
mod tests;
