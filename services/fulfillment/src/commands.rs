//! The commands of fulfillment: the one list.

mod cancel_shipments;
mod create_shipments;
mod release_shipments;
mod withdraw_shipments;

use std::collections::HashMap;

use makegood_contracts::reply::Outcome;
use makegood_messaging::{
    participant::{Job, Participant},
    worker::Worker,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    config::Config,
    shipment::{State, Step},
    store::{self, LockedShipment},
};

pub(crate) fn participant(worker: Worker, config: &Config) -> Participant {
    let handover_delay_seconds = config.handover_delay_seconds;
    Participant::new("fulfillment", worker)
        .action("create_shipments", create_shipments::handle)
        .undo("cancel_shipments", cancel_shipments::handle)
        .action("release_shipments", async move |tx: &mut PgConnection, jobs: &[Job<_>]| {
            release_shipments::handle(tx, jobs, handover_delay_seconds).await
        })
        .action("withdraw_shipments", withdraw_shipments::handle)
}

/// Moves all shipments of each saga to one state, or, where one of them must not go there, none of that saga's.
async fn move_all<I>(
    tx: &mut PgConnection,
    jobs: &[Job<I>],
    to: State,
    rule: fn(State) -> Step,
    handover_delay_seconds: u32,
) -> anyhow::Result<Vec<Outcome>> {
    let saga_ids: Vec<Uuid> = jobs.iter().map(|job| job.key.saga_id).collect();
    let mut by_saga: HashMap<Uuid, Vec<LockedShipment>> = HashMap::new();
    for shipment in store::lock_shipments(tx, &saga_ids).await? {
        by_saga.entry(shipment.saga_id).or_default().push(shipment);
    }
    let mut moving = Vec::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    for saga_id in &saga_ids {
        // Taken out, so that a second command of the same saga in this batch finds nothing left to move.
        let shipments = by_saga.remove(saga_id).unwrap_or_default();
        match shipments.iter().find(|shipment| rule(shipment.state) == Step::Illegal) {
            Some(stuck) => outcomes.push(illegal(stuck, to)),
            None => {
                moving.extend(
                    shipments
                        .iter()
                        .filter(|shipment| rule(shipment.state) == Step::Move(to))
                        .map(|shipment| shipment.id),
                );
                outcomes.push(Outcome::done());
            }
        }
    }
    store::move_shipments(tx, &moving, to, handover_delay_seconds).await?;
    Ok(outcomes)
}

fn illegal(shipment: &LockedShipment, to: State) -> Outcome {
    let LockedShipment { id, state, .. } = shipment;
    Outcome::defect(format!("Shipment {id} is {}: it cannot be {} any more.", state.as_str(), to.as_str()))
}

#[cfg(test)]
pub(crate) mod tests;
