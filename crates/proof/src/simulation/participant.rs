//! A service takes a command, as `makegood-messaging`'s participant does: effect and barrier row in one transaction, the
//! reply after the commit, the ack after the reply.

use std::{collections::BTreeMap, rc::Rc};

use makegood_contracts::{
    command::{Direction, StepKey},
    reply::{Outcome, Reply},
};
use rand::Rng as _;
use time::Duration;

use super::{
    Service, Simulation, Tick,
    wire::{Command, Message, MessageId},
};
use crate::bug::Bug;

/// The code with which an action is refused that comes after its undo.
const COMPENSATED: &str = "compensated";

/// A service's barrier.
pub(super) type Barrier = BTreeMap<StepKey, Outcome>;

/// A command that a service has in hand.
#[derive(Clone)]
pub(super) struct InHand {
    pub(super) service: Service,
    pub(super) epoch: u32,
    pub(super) message: MessageId,
    pub(super) command: Rc<Command>,
}

impl Simulation {
    pub(super) fn take_command(&mut self, id: MessageId, command: &Command) -> bool {
        let Some(service) = Service::of(&command.name) else {
            self.breaks(format!("no service takes {}", command.name));
            return true;
        };
        if !self.is_up(service) {
            return false;
        }
        if self.bug == Some(Bug::AckBeforeCommit) {
            self.ack(id);
        }
        if command.deadline.is_some_and(|deadline| deadline < self.schedule.now) {
            // The orchestrator has given up on it, and comes again if it still wants it.
            self.ack(id);
            return true;
        }
        let slowness = self.faults.slowness;
        let delay = if self.happens(slowness) {
            Duration::milliseconds(self.random.random_range(1_000..25_000))
        } else {
            Duration::microseconds(self.random.random_range(200..20_000))
        };
        let in_hand =
            InHand { service, epoch: self.service_epoch(service), message: id, command: Rc::new(command.clone()) };
        self.schedule.after(delay, Tick::Handle(in_hand));
        true
    }

    /// The transaction of a handler, from its first statement to its commit.
    pub(super) fn handle(&mut self, in_hand: InHand) {
        let key = &in_hand.command.key;
        if let Some(outcome) = self.known(in_hand.service, key) {
            return self.answer_soon(in_hand, outcome);
        }
        if in_hand.service == Service::Payment {
            return self.pay(in_hand);
        }
        let was_here = key.direction == Direction::Do || self.entomb(in_hand.service, key);
        let outcome = if was_here { self.take_effect(&in_hand.command) } else { Outcome::done() };
        if matches!(outcome, Outcome::Failed { .. }) {
            return self.answer_soon(in_hand, outcome);
        }
        self.note_effect(key, &outcome, was_here);
        if self.bug == Some(Bug::BarrierApart) {
            let delay = Duration::milliseconds(self.random.random_range(1..50));
            self.schedule.after(delay, Tick::Record(in_hand, outcome));
            return;
        }
        self.record(in_hand.service, key, outcome.clone());
        self.answer_soon(in_hand, outcome);
    }

    /// What the barrier knows of a command.
    pub(super) fn known(&self, service: Service, key: &StepKey) -> Option<Outcome> {
        let restocked_twice =
            self.bug == Some(Bug::RestockedTwice) && matches!(&*key.step, "restock_sale" | "restock_return");
        if self.bug == Some(Bug::NoBarrier) || restocked_twice {
            return None;
        }
        self.barriers.get(&service)?.get(key).cloned()
    }

    /// The first outcome of a key stands, unless it was pending.
    pub(super) fn record(&mut self, service: Service, key: &StepKey, outcome: Outcome) {
        let barrier = self.barriers.entry(service).or_default();
        let is_open = barrier.get(key).is_none_or(|known| matches!(known, Outcome::Pending { .. }));
        if is_open {
            barrier.insert(key.clone(), outcome);
        }
    }

    /// Whether the action was here before its undo; if not, its tombstone is now.
    pub(super) fn entomb(&mut self, service: Service, undo: &StepKey) -> bool {
        let action = StepKey { direction: Direction::Do, ..undo.clone() };
        let barrier = self.barriers.entry(service).or_default();
        if barrier.contains_key(&action) {
            return true;
        }
        if self.bug != Some(Bug::NoTombstone) {
            barrier.insert(action, Outcome::refused(COMPENSATED, "the step was undone before it came"));
        }
        false
    }

    pub(super) fn answer_soon(&mut self, in_hand: InHand, outcome: Outcome) {
        let delay = Duration::microseconds(self.random.random_range(50..2_000));
        self.schedule.after(delay, Tick::Answer(in_hand, outcome));
    }

    pub(super) fn answer(&mut self, in_hand: InHand, outcome: Outcome) {
        let Command { key, attempt, .. } = &*in_hand.command;
        if matches!(outcome, Outcome::Failed { .. }) {
            self.failures_told.insert((key.clone(), *attempt));
        }
        if !key.step.ends_with(".pending") {
            self.publish(Message::Reply(Reply { key: key.clone(), attempt: *attempt, outcome }));
        }
        let delay = Duration::microseconds(self.random.random_range(50..1_000));
        self.schedule.after(delay, Tick::AckCommand(in_hand));
    }

    /// The service's own rules.
    fn take_effect(&mut self, command: &Command) -> Outcome {
        let now = self.schedule.now;
        let saga = command.key.saga_id;
        let taken = match command.name.as_str() {
            "cart.lock_cart" => self.carts.lock(saga, &command.payload),
            "cart.unlock_cart" => self.carts.unlock(saga, &command.payload),
            "cart.close_cart" => self.carts.close(saga, &command.payload),
            "inventory.hold_stock" => self.stock.hold(saga, &command.payload, now),
            "inventory.release_stock" => Ok(self.stock.release(saga)),
            "inventory.allocate_stock" => self.stock.allocate(saga, now),
            "inventory.commit_stock" => Ok(self.stock.commit(saga)),
            "inventory.restock_sale" => self.stock.restock(&command.payload, self.bug == Some(Bug::RestockedTwice)),
            "inventory.restock_return" => {
                self.stock.restock_return(&command.payload, self.bug == Some(Bug::RestockedTwice))
            }
            "fulfillment.create_shipments" => self.shipments.create(saga, &command.payload),
            "fulfillment.cancel_shipments" => Ok(self.shipments.cancel(saga)),
            "fulfillment.release_shipments" => Ok(self.shipments.release(saga, now)),
            "fulfillment.withdraw_shipments" => self.shipments.withdraw(&command.payload),
            "order.open_checkout" => self.checkouts.open(saga, &command.payload),
            "order.require_action" => Ok(self.checkouts.require_action(saga, &command.payload)),
            "order.close_checkout" => self.checkouts.close(saga, &command.payload),
            "order.begin_cancel" => self.cancellations.begin(&command.payload),
            "order.end_cancel" => self.cancellations.end(&command.payload),
            "order.begin_return" => self.returns.begin(&command.payload),
            "order.accept_return" => self.returns.accept(&command.payload),
            "order.end_return" => self.returns.end(&command.payload),
            other => Err(anyhow::anyhow!("no handler for {other}")),
        };
        taken.unwrap_or_else(|error| {
            self.breaks(format!("{}: {error:#}", command.name));
            Outcome::defect(format!("{error:#}"))
        })
    }
}
