//! Fulfillment's tables, with its own rules (`makegood_fulfillment::shipment`).

use std::collections::BTreeMap;

use makegood_contracts::{
    fulfillment::{CreateShipments, CreatedShipments},
    reply::Outcome,
};
use makegood_fulfillment::shipment::{State, Step, parcels, shipment_id};
use serde_json::Value;
use uuid::Uuid;

#[derive(Default)]
pub(super) struct Shipments {
    by_saga: BTreeMap<Uuid, BTreeMap<Uuid, State>>,
}

impl Shipments {
    pub(super) fn create(&mut self, saga: Uuid, payload: &Value) -> anyhow::Result<Outcome> {
        let input: CreateShipments = serde_json::from_value(payload.clone())?;
        let ids: Vec<Uuid> = parcels(&input.allocations).keys().map(|warehouse| shipment_id(saga, warehouse)).collect();
        let shipments = self.by_saga.entry(saga).or_default();
        for id in &ids {
            shipments.entry(*id).or_insert(State::Created);
        }
        Ok(Outcome::Done { output: serde_json::to_value(CreatedShipments { shipment_ids: ids })? })
    }

    pub(super) fn cancel(&mut self, saga: Uuid) -> Outcome {
        self.move_all(saga, State::cancel)
    }

    pub(super) fn release(&mut self, saga: Uuid) -> Outcome {
        self.move_all(saga, State::release)
    }

    /// All of a saga's shipments, or none where one must not go there.
    fn move_all(&mut self, saga: Uuid, rule: fn(State) -> Step) -> Outcome {
        let Some(shipments) = self.by_saga.get_mut(&saga) else { return Outcome::done() };
        if let Some((id, state)) = shipments.iter().find(|(_, state)| rule(**state) == Step::Illegal) {
            return Outcome::defect(format!("Shipment {id} is {}: it cannot go there any more.", state.as_str()));
        }
        for state in shipments.values_mut() {
            if let Step::Move(to) = rule(*state) {
                *state = to;
            }
        }
        Outcome::done()
    }

    /// The carrier takes what is released.
    pub(super) fn hand_over(&mut self) {
        for state in self.by_saga.values_mut().flat_map(BTreeMap::values_mut) {
            if let (State::Released, Step::Move(to)) = (*state, state.ship()) {
                *state = to;
            }
        }
    }

    pub(super) fn states_of(&self, saga: Uuid) -> Vec<State> {
        self.by_saga.get(&saga).map(|shipments| shipments.values().copied().collect()).unwrap_or_default()
    }
}
