//! Books the sale: the goods leave the counters. Past the pivot, so it succeeds for every allocated hold; anything else
//! is a defect that an operator must see.

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

fn outcome(hold: Option<&mut Hold>) -> Outcome {
    match hold {
        Some(hold) => super::hold_moved(hold.commit()),
        None => Outcome::defect("The saga has no hold: nothing can be committed."),
    }
}
