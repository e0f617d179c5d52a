//! Buyers, who confirm, hesitate, call off or never come back, and a shop that cancels what it has sold.

use makegood_contracts::order::CheckoutInput;
use makegood_order::checkout::Status;
use rand::Rng as _;
use serde_json::json;
use time::Duration;
use uuid::Uuid;

use super::{ACCOUNT, Simulation, Tick, schedule::BEGINNING, stock::HOLD_TTL, wire::Message};
use crate::bug::Bug;

/// What a buyer does.
pub(super) enum Deed {
    Order {
        cart: Uuid,
        payment_method: Option<&'static str>,
    },
    Confirm(&'static str),
    Cancel,
    /// The order is called off after it was completed; the wish has an id of its own.
    CancelOrder(Uuid),
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

/// The so manieth wish to call an order off.
fn cancellation_id(checkout: Uuid, number: u128) -> Uuid {
    Uuid::from_u128(checkout.as_u128() + (number << 32))
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
            Deed::CancelOrder(cancellation) => self.cancel_order(checkout, cancellation),
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
        if self.happens(0.6) {
            // Often more than once, under keys of their own, and at the very same time.
            let wish = Duration::milliseconds(self.random.random_range(1_000..90_000));
            for number in 1..=self.random.random_range(1..4_u128) {
                let delay = wish + Duration::milliseconds(self.random.random_range(0..5_000));
                let cancellation = cancellation_id(checkout, number);
                self.schedule.after(delay, Tick::Buyer(checkout, Deed::CancelOrder(cancellation)));
            }
        }
    }

    /// Only what was completed, and of which nothing has left as far as the order knows.
    fn cancel_order(&mut self, checkout: Uuid, cancellation: Uuid) -> Option<Message> {
        let order = self.checkouts.by_id.get(&checkout).filter(|order| order.status == Status::Completed)?;
        let total = self.carts.by_id.get(&order.input.cart_id)?.total().ok()?;
        let is_locked = self.bug != Some(Bug::CancellationNotLocked);
        self.cancellations.request(cancellation, checkout, total, self.schedule.now, is_locked)
    }
}
