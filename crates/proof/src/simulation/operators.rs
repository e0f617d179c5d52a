//! Operators, who do what they may at any moment while things go wrong, and on the good day what the runbook says.

use std::rc::Rc;

use makegood_contracts::{
    order::{CONFIRMATION, Confirmation},
    order_return::{GOODS_RECEIVED, RETURN_ORDER_SAGA},
};
use makegood_saga::{
    definition::FINALLY,
    event::Event,
    state::{Phase, Status},
    transition::{Transition, Verdict, move_version},
};
use rand::Rng as _;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use super::{
    Simulation, Tick,
    flows::Flow,
    store::{Loaded, Move, Row},
};
use crate::engine;

const GOOD_DAY_ROUND: Duration = Duration::seconds(10);
/// The card that an operator confirms with in a buyer's stead.
const CARD: &str = "pm_card_visa";

impl Simulation {
    /// While things go wrong, anything to any saga; afterwards, as the runbook says, whatever is paused goes on and
    /// whatever is parked is retried.
    pub(super) fn operator_acts(&mut self) {
        let next = if self.is_healed { GOOD_DAY_ROUND } else { self.until_next(self.faults.between_operators) };
        self.schedule.after(next, Tick::Operator);
        let live = self.store.live();
        if self.is_healed {
            for saga in live {
                let held =
                    self.store.rows.get(&saga).map(|row| (row.state.paused.is_some(), row.state.parked.is_some()));
                match held {
                    Some((true, _)) => self.operate(saga, &resumed()),
                    Some((false, true)) => self.operate(saga, &retried()),
                    Some((false, false)) | None => {}
                }
            }
            return;
        }
        if live.is_empty() {
            return;
        }
        if self.happens(0.1) {
            self.give_some_back();
            return;
        }
        let saga = live[self.random.random_range(0..live.len())];
        let (actor, reason) = ("ann".to_owned(), "she has her reasons".to_owned());
        let event = match self.random.random_range(0..11) {
            0 => Some(Event::CompensationForced { actor, reason }),
            1 => Some(Event::CancelledByOperator { actor, reason }),
            2 => self.resolution(saga),
            3 => Some(Event::Paused { actor, reason }),
            4 => Some(resumed()),
            5 | 6 => self.skip(saga),
            7 => self.signal(saga),
            8 | 9 => self.move_to_other_version(saga),
            _ => None,
        };
        self.operate(saga, &event.unwrap_or_else(retried));
    }

    /// A part of some payment, for a scratch; of what is cancelled or comes back meanwhile as well.
    fn give_some_back(&mut self) {
        let captured = self.payments.captured();
        if captured.is_empty() {
            return;
        }
        let (payment, minor) = captured[self.random.random_range(0..captured.len())];
        let part = self.random.random_range(1..=minor);
        let refund_id = Uuid::from_u128(self.random.random());
        if let Err(error) = self.payments.give_back(payment, part, refund_id, self.schedule.now) {
            self.breaks(format!("giving back by hand: {error:#}"));
        }
    }

    /// The parked step settled by hand, if the books show that it is.
    fn resolution(&self, saga: Uuid) -> Option<Event> {
        let row = self.store.rows.get(&saga)?;
        let (index, step) = row.flow.find(&row.state.parked.as_ref()?.step)?;
        let stands = self.standing.contains(&(saga, step.clone()));
        // Only where nothing reads its output, which the operator does not have.
        let is_settled = if row.state.phase == Phase::Backward {
            !stands
        } else {
            stands && (&*step == FINALLY || row.flow.is_past_pivot(index))
        };
        is_settled.then(|| Event::Resolved {
            step: step.to_string(),
            actor: "ann".to_owned(),
            reason: "seen in the books".to_owned(),
            output: Value::Null,
        })
    }

    /// In the buyer's stead; or goods are said to have come, which only the order's own row can know.
    fn signal(&self, saga: Uuid) -> Option<Event> {
        let is_return = self.store.rows.get(&saga)?.flow.definition.name == RETURN_ORDER_SAGA;
        let (signal, payload) = if is_return { (GOODS_RECEIVED, Value::Null) } else { (CONFIRMATION, confirmation()) };
        Some(Event::Signalled { signal: signal.to_owned(), payload, by: None })
    }

    /// The saga goes on without a step that it can do without.
    fn skip(&self, saga: Uuid) -> Option<Event> {
        let row = self.store.rows.get(&saga)?;
        let step = undecided(row).find(|step| stand_in(step).is_some())?;
        Some(Event::StepSkipped {
            output: stand_in(&step)?,
            step,
            actor: "ann".to_owned(),
            reason: "it goes without".to_owned(),
        })
    }

    fn move_to_other_version(&self, saga: Uuid) -> Option<Event> {
        let from = &self.store.rows.get(&saga)?.flow;
        let to = self.flows.other_version(from, self.schedule.now)?;
        let (actor, reason) = ("ann".to_owned(), "the new one is better".to_owned());
        Some(Event::VersionMoved { from: from.definition.version, to: to.definition.version, actor, reason })
    }

    /// The admin API loads, decides and writes in one transaction, and publishes afterwards.
    fn operate(&mut self, saga: Uuid, event: &Event) {
        let Some(Loaded { flow, state, revision, wake_at }) = self.load(saga) else { return };
        let now = self.schedule.now;
        let (flow, moved) = self.moved(flow, &state, event);
        if moved.verdict != Verdict::Moved {
            return;
        }
        if let Event::StepSkipped { step, .. } = event {
            self.left_out.insert((saga, step.as_str().into()));
        }
        let commands = self.commands_of(&flow, &moved);
        let needed = moved.state.wake_at();
        let one = Move {
            id: saga,
            from_revision: revision,
            flow,
            from: state,
            to: moved.state,
            event: moved.logged.unwrap_or_else(|| event.clone()),
            at: now,
            effects: moved.effects,
            wake_at: wake_at.filter(|stored| needed.is_some_and(|needed| *stored <= needed)).or(needed),
        };
        if self.write(one) {
            for command in commands {
                self.publish_command(command);
            }
        }
    }

    /// What the event makes of the saga, and the version that it is on then.
    fn moved(&self, flow: Rc<Flow>, state: &makegood_saga::state::State, event: &Event) -> (Rc<Flow>, Transition) {
        if let Event::VersionMoved { to, .. } = event
            && let Some(other) = self.flows.version(&flow.definition.name, *to)
        {
            let moved = move_version(&flow.definition, &other.definition, state.clone());
            return (other, moved);
        }
        let moved = engine::step(self.bug, &flow.definition, state.clone(), event, self.schedule.now);
        (flow, moved)
    }
}

/// Steps that have begun and are not decided, the parked one first.
fn undecided(row: &Row) -> impl Iterator<Item = String> {
    let parked = row.state.parked.iter().map(|parked| parked.step.clone());
    let out =
        row.state.steps.iter().enumerate().filter(|(_, step)| {
            matches!(step.status, Status::Sent | Status::Retrying | Status::Pending | Status::Waiting)
        });
    parked.chain(out.map(|(index, _)| row.flow.name_of(index).to_string()))
}

/// What later steps read in place of a step that a saga can do without. What is sold must leave the stock, and what is paid
/// must be known: nobody who knows what she does goes on without those.
fn stand_in(step: &str) -> Option<Value> {
    match step {
        "confirmation" => Some(confirmation()),
        "create_shipments" => Some(json!({ "shipment_ids": [] })),
        "restock_return" => Some(json!({ "units": 0 })),
        "allocate_stock_again"
        | "release_shipments"
        | "close_cart"
        | "begin_cancel"
        | "restock_sale"
        | "refund_payment" => Some(Value::Null),
        _ => None,
    }
}

fn confirmation() -> Value {
    json!(Confirmation { payment_method: CARD.to_owned() })
}

fn retried() -> Event {
    Event::Retried { actor: "ann".to_owned(), reason: "mended".to_owned() }
}

fn resumed() -> Event {
    Event::Resumed { actor: "ann".to_owned(), reason: "it may go on".to_owned() }
}
