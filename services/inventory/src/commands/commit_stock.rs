//! Books the sale: the goods leave the counters. Past the pivot, so it succeeds for every allocated hold; anything else
//! is a defect that an operator must see.

use makegood_contracts::{inventory::OwnHold, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

use crate::hold::Hold;

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<OwnHold>]) -> anyhow::Result<Vec<Outcome>> {
    super::move_own_holds(tx, jobs, outcome).await
}

fn outcome(hold: Option<&mut Hold>) -> Outcome {
    match hold {
        Some(hold) => super::hold_moved(hold.commit()),
        None => Outcome::defect("The saga has no hold: nothing can be committed."),
    }
}
