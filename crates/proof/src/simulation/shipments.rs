//! Fulfillment's tables, with its own rules (`makegood_fulfillment::shipment`), and the carrier that shipments are handed to:
//! claimed and marked, then offered, and shipped when the carrier says so. Each of the three may be as far as it gets.

use std::collections::BTreeMap;

use makegood_contracts::{
    fulfillment::{CreateShipments, CreatedShipments, WithdrawShipments},
    reply::Outcome,
};
use makegood_fulfillment::shipment::{State, Step, parcels, shipment_id};
use rand::Rng as _;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Service, Simulation, Tick, accidents::Node};
use crate::bug::Bug;

/// A paid order lies in the warehouse for so long: some are called off in it and some after it.
const HANDOVER_DELAY: Duration = Duration::seconds(20);
/// While one process offers a shipment, no other does.
const LEASE: Duration = Duration::seconds(60);
/// A carrier that has accepted a shipment and says nothing is asked again after this.
const SILENCE: Duration = Duration::minutes(10);
/// Until a carrier that cannot reach us tries again.
const CALLBACK_AGAIN: Duration = Duration::seconds(2);

struct Shipment {
    state: State,
    was_offered: bool,
    handover_due_at: Option<OffsetDateTime>,
}

#[derive(Default)]
pub(super) struct Shipments {
    by_saga: BTreeMap<Uuid, BTreeMap<Uuid, Shipment>>,
}

/// A shipment, by the saga that made it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parcel {
    saga: Uuid,
    id: Uuid,
}

/// What happens between fulfillment, the carrier and the order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Handover {
    /// Fulfillment, in this life of its, calls the carrier.
    Offer { epoch: u32 },
    /// The carrier has shipped it and says so.
    Callback,
    /// The order hears of it.
    Told,
}

impl Shipments {
    pub(super) fn create(&mut self, saga: Uuid, payload: &Value) -> anyhow::Result<Outcome> {
        let input: CreateShipments = serde_json::from_value(payload.clone())?;
        let Some(allocated) = input.allocated() else {
            return Ok(Outcome::defect("Nothing is allocated to the order."));
        };
        let ids: Vec<Uuid> = parcels(allocated).keys().map(|warehouse| shipment_id(saga, warehouse)).collect();
        let shipments = self.by_saga.entry(saga).or_default();
        for id in &ids {
            let created = Shipment { state: State::Created, was_offered: false, handover_due_at: None };
            shipments.entry(*id).or_insert(created);
        }
        Ok(Outcome::Done { output: serde_json::to_value(CreatedShipments { shipment_ids: ids })? })
    }

    pub(super) fn cancel(&mut self, saga: Uuid) -> Outcome {
        self.move_all(saga, State::cancel, None)
    }

    pub(super) fn release(&mut self, saga: Uuid, now: OffsetDateTime) -> Outcome {
        self.move_all(saga, State::release, Some(now + HANDOVER_DELAY))
    }

    /// Another saga's shipments, all or none.
    pub(super) fn withdraw(&mut self, payload: &Value) -> anyhow::Result<Outcome> {
        let WithdrawShipments { checkout_id } = serde_json::from_value(payload.clone())?;
        let shipments = self.by_saga.get(&checkout_id);
        let mut all = shipments.into_iter().flat_map(BTreeMap::iter);
        if let Some((id, _)) = all.find(|(_, shipment)| !shipment.state.may_be_withdrawn(shipment.was_offered)) {
            return Ok(Outcome::refused(
                "shipment_handed_over",
                format!("The carrier has shipment {id} or may have it."),
            ));
        }
        Ok(self.move_all(checkout_id, State::cancel, None))
    }

    /// All of a saga's shipments, or none where one must not go there.
    fn move_all(&mut self, saga: Uuid, rule: fn(State) -> Step, due_at: Option<OffsetDateTime>) -> Outcome {
        let Some(shipments) = self.by_saga.get_mut(&saga) else { return Outcome::done() };
        if let Some((id, shipment)) = shipments.iter().find(|(_, shipment)| rule(shipment.state) == Step::Illegal) {
            let state = shipment.state.as_str();
            return Outcome::defect(format!("Shipment {id} is {state}: it cannot go there any more."));
        }
        for shipment in shipments.values_mut() {
            if let Step::Move(to) = rule(shipment.state) {
                shipment.state = to;
                shipment.handover_due_at = due_at;
            }
        }
        Outcome::done()
    }

    /// Leases what is due, and marks it as offered before the carrier is called.
    fn claim_due(&mut self, now: OffsetDateTime, is_marked: bool) -> Vec<Parcel> {
        let mut claimed = Vec::new();
        for (saga, shipments) in &mut self.by_saga {
            for (id, shipment) in shipments {
                if shipment.handover_due_at.is_some_and(|due| due <= now) {
                    shipment.handover_due_at = Some(now + LEASE);
                    shipment.was_offered |= is_marked;
                    claimed.push(Parcel { saga: *saga, id: *id });
                }
            }
        }
        claimed
    }

    fn find(&mut self, parcel: Parcel) -> Option<&mut Shipment> {
        self.by_saga.get_mut(&parcel.saga)?.get_mut(&parcel.id)
    }

    /// None for a saga that has no shipments.
    pub(super) fn states_of(&self, saga: Uuid) -> Vec<State> {
        self.by_saga.get(&saga).map(|all| all.values().map(|shipment| shipment.state).collect()).unwrap_or_default()
    }
}

impl Simulation {
    /// A round of the hand-over: what is due is claimed, and then offered.
    pub(super) fn hand_over(&mut self) {
        let is_marked = self.bug != Some(Bug::OfferedBeforeMarked);
        let epoch = self.service_epoch(Service::Fulfillment);
        for parcel in self.shipments.claim_due(self.schedule.now, is_marked) {
            let delay = Duration::milliseconds(self.random.random_range(1..1_500));
            self.schedule.after(delay, Tick::Handover(parcel, Handover::Offer { epoch }));
        }
    }

    pub(super) fn hand_over_goes_on(&mut self, parcel: Parcel, happening: Handover) {
        match happening {
            Handover::Offer { epoch } => {
                let again = Tick::Handover(parcel, happening);
                if self.goes_on(Node::Service(Service::Fulfillment), epoch, again) {
                    self.offer(parcel);
                }
            }
            Handover::Callback if !self.is_up(Service::Fulfillment) => {
                self.schedule.after(CALLBACK_AGAIN, Tick::Handover(parcel, happening));
            }
            Handover::Callback => self.take_callback(parcel),
            Handover::Told if !self.is_up(Service::Order) => {
                self.schedule.after(CALLBACK_AGAIN, Tick::Handover(parcel, happening));
            }
            Handover::Told => self.cancellations.learn_that_it_left(parcel.saga),
        }
    }

    /// The carrier takes it in, unless the request is lost; then it is offered again when the lease is over.
    fn offer(&mut self, parcel: Parcel) {
        let silence = self.faults.silence;
        if self.happens(silence) {
            return;
        }
        let delay = Duration::milliseconds(self.random.random_range(200..20_000));
        self.schedule.after(delay, Tick::Handover(parcel, Handover::Callback));
        // Its answer may be lost too: then it is offered again when the lease is over.
        let asked_again_at = if self.happens(silence) { None } else { Some(self.schedule.now + SILENCE) };
        if let Some(shipment) = self.shipments.find(parcel) {
            shipment.was_offered = true;
            if shipment.state == State::Released && asked_again_at.is_some() {
                shipment.handover_due_at = asked_again_at;
            }
        }
    }

    fn take_callback(&mut self, parcel: Parcel) {
        let Some(shipment) = self.shipments.find(parcel) else { return };
        match shipment.state.ship() {
            Step::Move(to) => {
                shipment.state = to;
                shipment.handover_due_at = None;
                let delay = Duration::milliseconds(self.random.random_range(50..20_000));
                self.schedule.after(delay, Tick::Handover(parcel, Handover::Told));
            }
            Step::Already => {}
            Step::Illegal => {
                let state = shipment.state.as_str();
                self.breaks(format!("the carrier has shipped {} of {}, which is {state}", parcel.id, parcel.saga));
            }
        }
    }
}
