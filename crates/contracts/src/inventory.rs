//! Commands of the inventory. A hold belongs to the saga that took it: the saga's id is the hold's id.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::account::Account;

pub const HOLD_STOCK: &str = "inventory.hold_stock";
pub const RELEASE_STOCK: &str = "inventory.release_stock";
pub const ALLOCATE_STOCK: &str = "inventory.allocate_stock";
pub const COMMIT_STOCK: &str = "inventory.commit_stock";
pub const RESTOCK_SALE: &str = "inventory.restock_sale";
pub const RESTOCK_RETURN: &str = "inventory.restock_return";

/// Holds every line or none, until the TTL. Also the input of its undo, `release_stock`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HoldStock {
    #[serde(flatten)]
    pub account: Account,
    pub lines: Vec<HoldLine>,
    /// The buyer has confirmed already: what is held is allocated at once, and has no deadline.
    #[serde(default)]
    pub confirmed: bool,
}

/// Lines of the same SKU add up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HoldLine {
    pub sku: String,
    pub quantity: i64,
}

/// Output of `hold_stock`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldStock {
    /// Until then the stock waits for a buyer who has not confirmed.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// Of a confirmed checkout: which warehouse ships what. It needs no `allocate_stock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<Vec<Allocation>>,
}

/// Input of `allocate_stock` and `commit_stock`: the saga's own hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OwnHold {}

/// Puts back what a completed checkout took, into the warehouses that it came from, as receipts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestockSale {
    pub checkout_id: Uuid,
}

/// Puts back a part of what a completed checkout took, into the warehouses that sold it, as receipts. All returns of one sale
/// together never put back more than it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestockReturn {
    pub return_id: Uuid,
    pub checkout_id: Uuid,
    pub lines: Vec<ReturnedLine>,
}

/// Units that can be sold again. Lines of the same SKU add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedLine {
    pub sku: String,
    pub quantity: i64,
}

/// Output of `restock_return`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestockedReturn {
    pub units: i64,
}

/// Output of `allocate_stock`: which warehouse ships what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AllocatedStock {
    pub allocations: Vec<Allocation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    pub warehouse: String,
    pub sku: String,
    pub quantity: i64,
}
