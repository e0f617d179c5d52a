//! The cart service's tables, with its own rules (`makegood_cart::cart`).

use std::collections::BTreeMap;

use iso_currency::Currency;
use makegood_cart::{
    cart::{Cart, NewCart, State},
    pricing::{Offer, WantedLine},
};
use makegood_contracts::{
    account::Account,
    cart::{LockCart, LockedCart},
    reply::Outcome,
};
use serde_json::Value;
use uuid::Uuid;

use super::schedule::BEGINNING;

/// What one piece of anything costs.
pub(super) const PRICE_MINOR: i64 = 250;

#[derive(Default)]
pub(super) struct Carts {
    pub(super) by_id: BTreeMap<Uuid, Cart>,
}

fn offer() -> Option<Offer> {
    Some(Offer { title: "a thing".to_owned(), active: true, price_minor: Some(PRICE_MINOR) })
}

impl Carts {
    pub(super) fn fill(&mut self, id: Uuid, account: Account, lines: &[(&str, i64)]) -> anyhow::Result<()> {
        let wanted = |(sku, quantity): &(&str, i64)| WantedLine {
            name: (*sku).to_owned(),
            sku: (*sku).to_owned(),
            quantity: *quantity,
            own_price_minor: None,
        };
        let new = NewCart {
            id,
            account,
            currency: Currency::GBP,
            created_at: BEGINNING,
            lines: lines.iter().map(wanted).collect(),
        };
        let offers: Vec<_> = lines.iter().map(|_| offer()).collect();
        self.by_id.insert(id, Cart::open(new, &offers)?);
        Ok(())
    }

    pub(super) fn lock(&mut self, saga: Uuid, payload: &Value) -> anyhow::Result<Outcome> {
        let input: LockCart = serde_json::from_value(payload.clone())?;
        let Some(cart) = self.by_id.get_mut(&input.cart_id) else {
            return Ok(Outcome::refused("cart_unknown", "there is no such cart"));
        };
        let offers: Vec<_> = cart.lines.iter().map(|_| offer()).collect();
        Ok(match cart.lock(saga, input.expected_total, &offers) {
            Ok(priced) => Outcome::Done { output: serde_json::to_value(priced)? },
            Err(refusal) => Outcome::refused(refusal.code(), refusal.to_string()),
        })
    }

    /// The cart is open again if it is this checkout that locked it.
    pub(super) fn unlock(&mut self, saga: Uuid, payload: &Value) -> anyhow::Result<Outcome> {
        let input: LockedCart = serde_json::from_value(payload.clone())?;
        if let Some(cart) = self.by_id.get_mut(&input.cart_id).filter(|cart| cart.state == State::Locked { by: saga }) {
            cart.state = State::Open;
        }
        Ok(Outcome::done())
    }

    pub(super) fn close(&mut self, saga: Uuid, payload: &Value) -> anyhow::Result<Outcome> {
        let input: LockedCart = serde_json::from_value(payload.clone())?;
        let cart = self.by_id.get_mut(&input.cart_id);
        let held = cart.filter(|cart| matches!(cart.state, State::Locked { by } | State::Closed { by } if by == saga));
        Ok(match held {
            Some(cart) => {
                cart.state = State::Closed { by: saga };
                Outcome::done()
            }
            None => Outcome::defect(format!("cart {} is not held by checkout {saga}", input.cart_id)),
        })
    }

    pub(super) fn is_held_by(&self, cart: Uuid, saga: Uuid) -> bool {
        let state = self.by_id.get(&cart).map(|cart| cart.state);
        matches!(state, Some(State::Locked { by } | State::Closed { by }) if by == saga)
    }

    pub(super) fn is_closed_by(&self, cart: Uuid, saga: Uuid) -> bool {
        self.by_id.get(&cart).is_some_and(|cart| cart.state == State::Closed { by: saga })
    }
}
