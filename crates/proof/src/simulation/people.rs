//! Buyers, who confirm, hesitate, call off or never come back, and a shop that cancels what it has sold or takes it back.

use makegood_contracts::order::CheckoutInput;
use makegood_order::{
    checkout::Status,
    order_return::{Arrived, Units},
};
use rand::Rng as _;
use serde_json::json;
use time::Duration;
use uuid::Uuid;

use super::{ACCOUNT, Simulation, Tick, returns::RECEIVE_WITHIN, schedule::BEGINNING, stock::HOLD_TTL, wire::Message};
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
    /// Some of what has left is to come back; the return has an id of its own.
    AnnounceReturn(Uuid),
    ReceiveReturn(Uuid),
    CancelReturn(Uuid),
}

/// All begin within this, so that they run at once.
const RUSH_MS: i64 = 30_000;
const SKUS: [&str; 3] = ["cup", "pot", "tea"];
/// Cards, and how often each is used.
const CARDS: [(&str, u32); 4] = [
    ("pm_card_visa", 14),
    ("pm_card_authenticationRequired", 4),
    ("pm_card_chargeDeclined", 2),
    ("pm_card_sandbox_captureDeclined", 1),
];

fn checkout_id(number: u128) -> Uuid {
    Uuid::from_u128(0x0198_f0c2_0000_7000_8000_0000_0000_0000 + number)
}

/// The so manieth wish to call an order off.
fn cancellation_id(checkout: Uuid, number: u128) -> Uuid {
    Uuid::from_u128(checkout.as_u128() + (number << 32))
}

/// The so manieth wish to give goods back.
fn return_id(checkout: Uuid, number: u128) -> Uuid {
    Uuid::from_u128(checkout.as_u128() + (number << 40))
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
        let messages: Vec<Message> = match deed {
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
                    confirmed: payment_method.is_some(),
                };
                vec![self.checkouts.accept(input, payment_method.map(str::to_owned), now)]
            }
            Deed::Confirm(payment_method) => {
                self.checkouts.confirm(checkout, payment_method, now).into_iter().collect()
            }
            Deed::Cancel => self.checkouts.cancel(checkout, now).into_iter().collect(),
            Deed::CancelOrder(cancellation) => self.cancel_order(checkout, cancellation).into_iter().collect(),
            Deed::AnnounceReturn(id) => self.wish_to_return(checkout, id),
            Deed::ReceiveReturn(id) => self.receive_return(id),
            Deed::CancelReturn(id) => self.returns.call_off(id, now, self.bug == Some(Bug::ReturnNotLocked)),
        };
        for message in messages {
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
        if self.happens(0.6) {
            // Often more than one within seconds, of the same goods.
            let wish = Duration::milliseconds(self.random.random_range(30_000..85_000));
            for number in 1..=self.random.random_range(1..4_u128) {
                let delay = wish + Duration::milliseconds(self.random.random_range(0..5_000));
                self.schedule.after(delay, Tick::Buyer(checkout, Deed::AnnounceReturn(return_id(checkout, number))));
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

    /// Some of each line, now and then more than there is.
    fn wish_to_return(&mut self, checkout: Uuid, id: Uuid) -> Vec<Message> {
        let Some(order) = self.checkouts.by_id.get(&checkout) else { return Vec::new() };
        let sold = order.sold.clone();
        let mut wanted = Units::new();
        for line in &sold {
            let more = i64::from(self.happens(0.1));
            let quantity = self.random.random_range(0..=line.quantity + more);
            if quantity > 0 {
                wanted.insert(line.sku.clone(), quantity);
            }
        }
        if wanted.is_empty() {
            return Vec::new();
        }
        let messages = self.announce_return(checkout, id, &wanted);
        if !messages.is_empty() {
            self.plan_what_comes(checkout, id);
        }
        messages
    }

    /// The goods come, soon or in the very last moment or never; and some are called off, perhaps just then.
    fn plan_what_comes(&mut self, checkout: Uuid, id: Uuid) {
        let arrival = match self.happens(0.3) {
            true => RECEIVE_WITHIN + Duration::milliseconds(self.random.random_range(-200..2_000)),
            false => Duration::milliseconds(self.random.random_range(20..30_000)),
        };
        if self.happens(0.85) {
            self.schedule.after(arrival, Tick::Buyer(checkout, Deed::ReceiveReturn(id)));
        }
        if self.happens(0.25) {
            let delay = match self.happens(0.5) {
                true => arrival + Duration::milliseconds(self.random.random_range(-20..3_000)),
                false => Duration::milliseconds(self.random.random_range(0..30_000)),
            };
            self.schedule.after(delay, Tick::Buyer(checkout, Deed::CancelReturn(id)));
        }
    }

    /// What was announced, or less, or nothing; and not all of it can be sold again.
    fn receive_return(&mut self, id: Uuid) -> Vec<Message> {
        let Some(lines) = self.returns.by_id.get(&id).map(|one| one.lines.clone()) else { return Vec::new() };
        let mut arrived = Arrived::default();
        for line in lines {
            let came = self.random.random_range(0..=line.quantity);
            let sellable = self.random.random_range(0..=came);
            *arrived.units.entry(line.sku.clone()).or_default() += came;
            *arrived.sellable.entry(line.sku).or_default() += sellable;
        }
        self.returns.receive(id, &arrived, self.schedule.now)
    }
}
