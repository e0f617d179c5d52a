//! Commands and events of fulfillment: one shipment per warehouse that ships something.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{account::Account, inventory::Allocation};

pub const CREATE_SHIPMENTS: &str = "fulfillment.create_shipments";
pub const CANCEL_SHIPMENTS: &str = "fulfillment.cancel_shipments";
pub const RELEASE_SHIPMENTS: &str = "fulfillment.release_shipments";
pub const WITHDRAW_SHIPMENTS: &str = "fulfillment.withdraw_shipments";

/// Plans the shipments of an order; nothing leaves before `release_shipments`. Also the input of its undo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateShipments {
    #[serde(flatten)]
    pub account: Account,
    pub order_id: Uuid,
    pub shipping_method: String,
    pub shipping_address: Value,
    /// As `allocate_stock` has it; none where the stock was allocated with the hold.
    #[serde(default)]
    pub allocations: Option<Vec<Allocation>>,
    /// As `hold_stock` has it, of a checkout that was confirmed when it began.
    #[serde(default)]
    pub allocated_with_hold: Option<Vec<Allocation>>,
}

impl CreateShipments {
    /// What is to be shipped from where, whichever step has allocated it; none where no step has.
    pub fn allocated(&self) -> Option<&[Allocation]> {
        self.allocations.as_deref().or(self.allocated_with_hold.as_deref())
    }
}

/// Output of `create_shipments`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreatedShipments {
    pub shipment_ids: Vec<Uuid>,
}

/// Input of `release_shipments`: the saga's own shipments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OwnShipments {}

/// Takes back the shipments of a completed checkout, all or none: another saga's than the one that asks.
///
/// Refused with `shipment_handed_over` as soon as the carrier may have one of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WithdrawShipments {
    pub checkout_id: Uuid,
}

/// Name of the event that carries [`ShipmentShipped`]; its subject is the shipment's id.
pub const SHIPMENT_SHIPPED: &str = "shipment.shipped";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShipmentShipped {
    pub shipment_id: Uuid,
    pub order_id: Uuid,
    pub tracking_number: String,
}
