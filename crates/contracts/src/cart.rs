//! Commands of the cart: locked and priced when a checkout opens, unlocked or closed when it ends.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{account::Account, money::Money};

pub const LOCK_CART: &str = "cart.lock_cart";
pub const UNLOCK_CART: &str = "cart.unlock_cart";
pub const CLOSE_CART: &str = "cart.close_cart";

/// Locks a cart for one checkout (the saga) and prices it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LockCart {
    #[serde(flatten)]
    pub account: Account,
    pub cart_id: Uuid,
    /// Refuse with `cart_changed` when the total is another one by now.
    #[serde(default)]
    pub expected_total: Option<Money>,
}

/// Output of `lock_cart`, and from here on what the order consists of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PricedCart {
    pub lines: Vec<PricedLine>,
    pub total: Money,
}

/// One line: `unit_price_minor` is in the currency of the cart's total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// The line's own name within the cart; the SKU unless the caller chose another.
    pub line: String,
    pub sku: String,
    pub title: String,
    pub quantity: i64,
    pub unit_price_minor: i64,
}

/// Input of `unlock_cart` (as undo of `lock_cart`) and of `close_cart`; other fields are ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LockedCart {
    pub cart_id: Uuid,
}
