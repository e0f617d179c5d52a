//! Takes back the shipments of a completed checkout while they lie in the warehouse. What the carrier may have, it may
//! deliver: from then on the order can only be returned.

use std::collections::HashMap;

use makegood_contracts::{fulfillment::WithdrawShipments, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    shipment::{State, Step},
    store::{self, LockedShipment},
};

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<WithdrawShipments>]) -> anyhow::Result<Vec<Outcome>> {
    let checkouts: Vec<Uuid> = jobs.iter().map(|job| job.input.checkout_id).collect();
    let mut by_checkout: HashMap<Uuid, Vec<LockedShipment>> = HashMap::new();
    for shipment in store::lock_shipments(tx, &checkouts).await? {
        by_checkout.entry(shipment.saga_id).or_default().push(shipment);
    }
    let outcome = |checkout: &Uuid| decide(by_checkout.get(checkout).map_or(&[], Vec::as_slice));
    let outcomes: Vec<Outcome> = checkouts.iter().map(outcome).collect();
    let mut moving: Vec<Uuid> = Vec::new();
    for (checkout, outcome) in checkouts.iter().zip(&outcomes) {
        // Taken out, so that a second command for the same checkout in this batch finds nothing left to move.
        let shipments = by_checkout.remove(checkout).unwrap_or_default();
        if *outcome == Outcome::done() {
            let cancellable =
                shipments.iter().filter(|shipment| shipment.state.cancel() == Step::Move(State::Cancelled));
            moving.extend(cancellable.map(|shipment| shipment.id));
        }
    }
    store::move_shipments(tx, &moving, State::Cancelled, 0).await?;
    Ok(outcomes)
}

/// All or none: a parcel that the carrier may have keeps the others.
fn decide(shipments: &[LockedShipment]) -> Outcome {
    match shipments.iter().find(|shipment| !shipment.state.may_be_withdrawn(shipment.was_offered)) {
        Some(shipment) => Outcome::refused(
            "shipment_handed_over",
            format!(
                "The carrier has shipment {} or may have it: the order can be returned when it has arrived.",
                shipment.id
            ),
        ),
        None => Outcome::done(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_back_once_the_carrier_may_have_a_part_of_it() {
        let shipment =
            |state, was_offered| LockedShipment { id: Uuid::nil(), saga_id: Uuid::nil(), state, was_offered };
        let lies_here = shipment(State::Released, false);
        assert_eq!(decide(&[]), Outcome::done());
        assert_eq!(decide(&[shipment(State::Created, false), lies_here]), Outcome::done());
        assert_eq!(decide(&[shipment(State::Cancelled, true)]), Outcome::done(), "a repeat");
        for gone in [shipment(State::Released, true), shipment(State::Shipped, true), shipment(State::Shipped, false)] {
            assert!(matches!(decide(&[lies_here, gone]), Outcome::Refused { .. }), "{gone:?}");
        }
    }
}
