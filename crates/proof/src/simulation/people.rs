//! Buyers, who confirm, hesitate, call off or never come back, and operators, who do what they may at any moment.

use makegood_contracts::order::CheckoutInput;
use makegood_saga::{definition::FINALLY, event::Event, state::Phase, transition::Verdict};
use rand::Rng as _;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use super::{ACCOUNT, Simulation, Tick, schedule::BEGINNING, stock::HOLD_TTL, store::Move};
use crate::engine;

/// What a buyer does.
pub(super) enum Deed {
    Order { cart: Uuid, payment_method: Option<&'static str> },
    Confirm(&'static str),
    Cancel,
}

/// All begin within this, so that they run at once.
const RUSH_MS: i64 = 30_000;
const SKUS: [&str; 3] = ["cup", "pot", "tea"];
/// Cards, and how often each is used.
const CARDS: [(&str, u32); 3] =
    [("pm_card_visa", 7), ("pm_card_authenticationRequired", 2), ("pm_card_chargeDeclined", 1)];

fn checkout_id(number: u128) -> Uuid {
    Uuid::from_u128(0x0198_f0c2_0000_7000_8000_0000_0000_0000 + number)
}

impl Simulation {
    /// Fills the warehouses and the carts, and lets the buyers come.
    pub(super) fn open_the_shop(&mut self) {
        for replica in &mut self.replicas {
            replica.skew = Duration::seconds(self.random.random_range(-600..600));
        }
        let buyers = self.random.random_range(2..9_u128);
        for sku in SKUS {
            for warehouse in 1..3 {
                // Sometimes not enough for all.
                let quantity = self.random.random_range(1..20);
                self.stock.receive(sku, Uuid::from_u128(warehouse), quantity);
            }
        }
        for buyer in 0..buyers {
            // Now and then two want the same cart.
            let cart = Uuid::from_u128(0xca27_0000 + if self.happens(0.1) { buyer.saturating_sub(1) } else { buyer });
            if !self.carts.by_id.contains_key(&cart) {
                let lines = self.random.random_range(1..=SKUS.len());
                let lines: Vec<(&str, i64)> =
                    SKUS[..lines].iter().map(|sku| (*sku, self.random.random_range(1..4))).collect();
                if let Err(error) = self.carts.fill(cart, ACCOUNT, &lines) {
                    self.breaks(format!("a cart cannot be filled: {error:#}"));
                }
            }
            let is_one_call = self.happens(0.4);
            let payment_method = is_one_call.then(|| self.some_card());
            let arrival = Duration::milliseconds(self.random.random_range(0..RUSH_MS));
            self.schedule
                .at(BEGINNING + arrival, Tick::Buyer(checkout_id(buyer), Deed::Order { cart, payment_method }));
        }
    }

    fn some_card(&mut self) -> &'static str {
        let mut ticket = self.random.random_range(0..CARDS.iter().map(|(_, tickets)| tickets).sum());
        for (card, tickets) in CARDS {
            if ticket < tickets {
                return card;
            }
            ticket -= tickets;
        }
        CARDS[0].0
    }

    pub(super) fn buyer_acts(&mut self, checkout: Uuid, deed: Deed) {
        let now = self.schedule.now;
        let message = match deed {
            Deed::Order { cart, payment_method } => {
                self.plan_what_follows(checkout, payment_method.is_some());
                let input = CheckoutInput {
                    account: ACCOUNT,
                    checkout_id: checkout,
                    order_id: checkout,
                    cart_id: cart,
                    email: "ann@example.com".to_owned(),
                    shipping_method: "standard".to_owned(),
                    shipping_address: json!({"country": "GB"}),
                    expected_total: None,
                    reference: None,
                };
                Some(self.checkouts.accept(input, payment_method.map(str::to_owned), now))
            }
            Deed::Confirm(payment_method) => self.checkouts.confirm(checkout, payment_method, now),
            Deed::Cancel => self.checkouts.cancel(checkout, now),
        };
        if let Some(message) = message {
            self.publish(message);
        }
    }

    fn plan_what_follows(&mut self, checkout: Uuid, is_confirmed: bool) {
        if !is_confirmed && self.happens(0.9) {
            let card = self.some_card();
            // Some at once, some in the very last moment of the hold.
            let delay = match self.happens(0.4) {
                true => HOLD_TTL + Duration::milliseconds(self.random.random_range(-200..100)),
                false => Duration::milliseconds(self.random.random_range(20..20_000)),
            };
            self.schedule.after(delay, Tick::Buyer(checkout, Deed::Confirm(card)));
        }
        if self.happens(0.15) {
            let delay = Duration::milliseconds(self.random.random_range(0..40_000));
            self.schedule.after(delay, Tick::Buyer(checkout, Deed::Cancel));
        }
    }

    /// While things go wrong, anything to any saga; afterwards, as the runbook says, whatever is paused goes on and
    /// whatever is parked is retried.
    pub(super) fn operator_acts(&mut self) {
        let next = if self.is_healed { Duration::seconds(10) } else { self.until_next(self.faults.between_operators) };
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
        let saga = live[self.random.random_range(0..live.len())];
        let (actor, reason) = ("ann".to_owned(), "she has her reasons".to_owned());
        let event = match self.random.random_range(0..7) {
            0 => Event::CompensationForced { actor, reason },
            1 => Event::CancelledByOperator { actor, reason },
            2 => self.resolution(saga).unwrap_or_else(retried),
            3 => Event::Paused { actor, reason },
            4 => resumed(),
            _ => retried(),
        };
        self.operate(saga, &event);
    }

    /// The parked step settled by hand, if the books show that it is.
    fn resolution(&self, saga: Uuid) -> Option<Event> {
        let row = self.store.rows.get(&saga)?;
        let step = row.state.parked.as_ref()?.step.clone();
        let index = self.definition.index_of(&step)?;
        let stands = self.standing.contains(&(saga, index));
        // Only where nothing reads its output, which the operator does not have.
        let is_settled = if row.state.phase == Phase::Backward {
            !stands
        } else {
            stands && (step == FINALLY || self.pivot.is_some_and(|pivot| index >= pivot))
        };
        is_settled.then(|| Event::Resolved {
            step,
            actor: "ann".to_owned(),
            reason: "seen in the books".to_owned(),
            output: Value::Null,
        })
    }

    /// The admin API loads, decides and writes in one transaction, and publishes afterwards.
    fn operate(&mut self, saga: Uuid, event: &Event) {
        let Some((state, revision, wake_at)) = self.load(saga) else { return };
        let now = self.schedule.now;
        let moved = engine::step(self.bug, &self.definition, state.clone(), event, now);
        if moved.verdict != Verdict::Moved {
            return;
        }
        let commands = self.commands_of(&moved);
        let needed = moved.state.wake_at();
        let one = Move {
            id: saga,
            from_revision: revision,
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
}

fn retried() -> Event {
    Event::Retried { actor: "ann".to_owned(), reason: "mended".to_owned() }
}

fn resumed() -> Event {
    Event::Resumed { actor: "ann".to_owned(), reason: "it may go on".to_owned() }
}
