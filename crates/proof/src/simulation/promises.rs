//! What must hold while things go wrong, and what must have come about once they are well again.

use std::rc::Rc;

use makegood_contracts::{
    orchestrator::Ending, order::CANCEL_ORDER_SAGA, order_return::RETURN_ORDER_SAGA, reply::Outcome,
};
use makegood_fulfillment::shipment::State as ShipmentState;
use makegood_inventory::hold::State as HoldState;
use makegood_order::checkout::Status as CheckoutStatus;
use makegood_saga::{
    state::{Phase, Status},
    transition::Verdict,
};
use makegood_sandbox::charge::State as ChargeState;
use uuid::Uuid;

use super::{Service, Simulation, cancellations::Status as CancellationStatus, replica::event_of, wire::Message};
use crate::engine;

impl Simulation {
    /// Whether a message's effect would survive the death of whoever acks it.
    pub(super) fn is_durable(&self, message: &Message) -> bool {
        match message {
            Message::Command(command) => {
                let is_late = command.deadline.is_some_and(|deadline| deadline < self.schedule.now);
                let service = Service::of(&command.name);
                let barrier = service.and_then(|service| self.barriers.get(&service));
                let is_decided = barrier.is_some_and(|barrier| barrier.contains_key(&command.key));
                is_late || is_decided || self.failures_told.contains(&(command.key.clone(), command.attempt))
            }
            Message::Start(start) => self.store.rows.contains_key(&start.saga_id),
            // No news for one state may be news for a later one; the step's deadline covers what is lost by that.
            Message::Reply(reply) if matches!(reply.outcome, Outcome::Failed { .. } | Outcome::Pending { .. }) => true,
            Message::Reply(_) | Message::Signal(_) | Message::Cancel(_) => {
                let Some((saga, event)) = event_of(message) else { return true };
                // What is told to a saga that has not begun is told again by its outbox.
                let Some(row) = self.store.rows.get(&saga) else { return true };
                // Refused because the pivot was out, which was refused meanwhile: it turns around without being called off.
                if matches!(message, Message::Cancel(_)) && !row.state.reasons.is_empty() {
                    return true;
                }
                let now = self.schedule.now;
                engine::step(self.bug, &row.flow.definition, row.state.clone(), &event, now).verdict != Verdict::Moved
            }
        }
    }

    /// Looked at in every round.
    pub(super) fn judge(&mut self) {
        let broken = self.stock.broken(self.schedule.now);
        let broken = broken.or_else(|| self.checkouts.broken.take()).or_else(|| self.returns.broken.take());
        if let Some(broken) = broken {
            self.breaks(broken);
        }
        let ended: Vec<Uuid> = self
            .store
            .rows
            .iter()
            .filter(|(id, row)| row.state.phase.has_ended() && !self.judged.contains(id))
            .map(|(id, _)| *id)
            .collect();
        for saga in ended {
            self.judged.insert(saga);
            self.judge_ended(saga);
        }
    }

    /// Once nothing moves any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_healed
            && self.wire.is_empty()
            && self.store.live().is_empty()
            && self.checkouts.by_id.values().all(|checkout| checkout.status.is_final())
            && self.cancellations.are_decided()
            && self.returns.are_decided()
            // A refund that an operator did not wait for is still asked about.
            && !self.payments.has_reserved()
    }

    /// Everything, at the end.
    pub(super) fn judge_all(&mut self) {
        let checkouts: Vec<(Uuid, CheckoutStatus)> =
            self.checkouts.by_id.iter().map(|(id, checkout)| (*id, checkout.status)).collect();
        for (id, status) in checkouts {
            // I4: what was accepted has begun, and has ended.
            match self.store.rows.get(&id).map(|row| row.state.condition()) {
                None => self.breaks(format!("checkout {id} was accepted and its saga never began")),
                Some(condition) if !self.store.rows[&id].state.phase.has_ended() => {
                    let state = &self.store.rows[&id].state;
                    let promise = format!("saga {id} has not ended though all is well: {condition:?}, {state:?}");
                    self.breaks(promise);
                }
                Some(_) if !status.is_final() => {
                    self.breaks(format!("checkout {id} is {status} though its saga ended"))
                }
                Some(_) => {
                    self.replay(id);
                    self.judge_ended(id);
                }
            }
        }
        self.judge_cancellations();
        self.judge_returns();
        if self.payments.has_reserved() {
            self.breaks("the ledger still has something reserved");
        }
        let kept =
            self.provider.charges.values().map(|charge| charge.captured_minor - charge.refunded_minor).sum::<i64>();
        if kept != self.payments.earned_minor {
            self.breaks(format!("the provider took and kept {kept}, the ledger says {}", self.payments.earned_minor));
        }
        self.judge();
    }

    /// I7: paid and shipped, or nothing kept.
    fn judge_ended(&mut self, saga: Uuid) {
        let Some(row) = self.store.rows.get(&saga) else { return };
        let ending = if row.state.phase == Phase::Completed { Ending::Completed } else { Ending::Compensated };
        let flow = Rc::clone(&row.flow);
        let last = flow.definition.steps.len();
        let is_done = self.standing.contains(&(saga, row.flow.name_of(last)));
        if !is_done && row.state.steps[last].status != Status::Skipped {
            self.breaks(format!("saga {saga} ended before its last command was done"));
        }
        let broken = match (flow.definition.name.as_str(), ending) {
            (CANCEL_ORDER_SAGA, Ending::Completed) => self.broken_by_cancelling(saga),
            (CANCEL_ORDER_SAGA, Ending::Compensated) => self.broken_by_refusing(saga),
            (RETURN_ORDER_SAGA, Ending::Completed) => self.broken_by_returning(saga),
            (RETURN_ORDER_SAGA, Ending::Compensated) => self.broken_by_taking_nothing_back(saga),
            (_, Ending::Completed) => self.broken_by_completing(saga),
            (_, Ending::Compensated) => self.broken_by_compensating(saga),
        };
        if let Some(broken) = broken {
            self.breaks(format!("saga {saga} {broken}"));
        }
    }

    fn broken_by_completing(&self, saga: Uuid) -> Option<String> {
        let checkout = self.checkouts.by_id.get(&saga)?;
        let total = self.carts.by_id.get(&checkout.input.cart_id)?.total().ok()?.minor_units;
        let captured: i64 = self.provider.charges_of(saga).map(|charge| charge.captured_minor).sum();
        if captured != total {
            return Some(format!("completed, and {captured} of {total} was captured"));
        }
        if self.stock.state_of(saga) != Some(HoldState::Committed) {
            return Some(format!("completed, and its stock is {:?}", self.stock.state_of(saga)));
        }
        let shipments = self.shipments.states_of(saga);
        let is_called_off = self.cancellations.is_called_off(saga);
        let goes_out = |state: &ShipmentState| matches!(state, ShipmentState::Released | ShipmentState::Shipped);
        let are_taken_back = is_called_off && shipments.iter().all(|state| *state == ShipmentState::Cancelled);
        let is_sent = shipments.iter().all(goes_out) || are_taken_back;
        let is_left_out = self.is_any_left_out(saga, &["create_shipments", "release_shipments"]);
        if (shipments.is_empty() || !is_sent) && !is_left_out {
            return Some(format!("completed, and its shipments are {shipments:?}"));
        }
        if !self.carts.is_closed_by(checkout.input.cart_id, saga) && !self.is_left_out(saga, "close_cart") {
            return Some("completed, and its cart is not closed".to_owned());
        }
        (checkout.status != CheckoutStatus::Completed)
            .then(|| format!("completed, and its checkout is {}", checkout.status))
    }

    fn broken_by_compensating(&self, saga: Uuid) -> Option<String> {
        let checkout = self.checkouts.by_id.get(&saga)?;
        let holds_money = |state: ChargeState| {
            matches!(state, ChargeState::Authorized | ChargeState::Captured | ChargeState::RequiresAction)
        };
        if let Some(charge) = self.provider.charges_of(saga).find(|charge| holds_money(charge.state)) {
            return Some(format!("was compensated, and its charge is {:?}", charge.state));
        }
        if !matches!(self.stock.state_of(saga), None | Some(HoldState::Released | HoldState::Expired)) {
            return Some(format!("was compensated, and its stock is {:?}", self.stock.state_of(saga)));
        }
        let ships = self.shipments.states_of(saga).iter().any(|state| *state != ShipmentState::Cancelled);
        if ships && !self.is_left_out(saga, "create_shipments") {
            return Some("was compensated, and ships something".to_owned());
        }
        if self.carts.is_held_by(checkout.input.cart_id, saga) {
            return Some("was compensated, and holds its cart".to_owned());
        }
        (checkout.status == CheckoutStatus::Completed)
            .then(|| "was compensated, and its checkout is completed".to_owned())
    }

    /// What was asked for has begun and ended, its log leads there, and it has come to what it says.
    pub(super) fn judge_all_of(&mut self, kind: &str, ids: Vec<Uuid>) {
        for id in ids {
            match self.store.rows.get(&id) {
                None => self.breaks(format!("{kind} {id} was taken and its saga never began")),
                Some(row) if !row.state.phase.has_ended() => {
                    let promise = format!("{kind} {id} has not ended though all is well: {:?}", row.state);
                    self.breaks(promise);
                }
                Some(_) => {
                    self.replay(id);
                    self.judge_ended(id);
                }
            }
        }
    }

    /// Whatever was called off has ended too, and what was not has kept its money and its goods away.
    fn judge_cancellations(&mut self) {
        let ids = self.cancellations.by_id.keys().copied().collect();
        self.judge_all_of("cancellation", ids);
        if let Some(checkout) = self.cancellations.gone_through_twice() {
            self.breaks(format!("order {checkout} was cancelled twice"));
        }
        let went_back = |checkout: &&Uuid| {
            // Returns give back what operators have left of it.
            let by_hand = self.payments.given_back(**checkout);
            let due = self.due_for_returns(**checkout).map(|due| (due + by_hand).min(self.captured(**checkout)));
            let is_other =
                due.is_some_and(|due| due != self.refunded(**checkout)) || self.stock.has_come_back(**checkout);
            is_other && !self.cancellations.has_gone_through(**checkout)
        };
        if let Some(checkout) = self.checkouts.by_id.keys().find(went_back).copied() {
            self.breaks(format!("order {checkout} was not cancelled, and money or goods went back that no return brought, or did not that one did"));
        }
    }

    fn captured(&self, checkout: Uuid) -> i64 {
        self.provider.charges_of(checkout).map(|charge| charge.captured_minor).sum()
    }

    fn refunded(&self, checkout: Uuid) -> i64 {
        self.provider.charges_of(checkout).map(|charge| charge.refunded_minor).sum()
    }

    fn broken_by_cancelling(&self, saga: Uuid) -> Option<String> {
        let cancellation = self.cancellations.by_id.get(&saga)?;
        let checkout = cancellation.checkout;
        if cancellation.status != CancellationStatus::Completed {
            return Some(format!("cancelled an order, and its cancellation is {:?}", cancellation.status));
        }
        let (captured, refunded) = (self.captured(checkout), self.refunded(checkout));
        if refunded != captured && !self.is_left_out(saga, "refund_payment") {
            return Some(format!("cancelled an order, and {refunded} of {captured} was given back"));
        }
        if !self.stock.has_come_back(checkout) && !self.is_left_out(saga, "restock_sale") {
            return Some("cancelled an order, and its goods did not come back".to_owned());
        }
        let shipments = self.shipments.states_of(checkout);
        let goes_out = shipments.iter().any(|state| *state != ShipmentState::Cancelled);
        let is_left_out = self.is_any_left_out(checkout, &["create_shipments", "release_shipments"]);
        (goes_out && !is_left_out).then(|| format!("cancelled an order, and its shipments are {shipments:?}"))
    }

    fn broken_by_refusing(&self, saga: Uuid) -> Option<String> {
        let status = self.cancellations.by_id.get(&saga)?.status;
        (status != CancellationStatus::Refused).then(|| format!("was compensated, and its cancellation is {status:?}"))
    }
}
