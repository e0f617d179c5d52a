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
    pub allocations: Vec<Allocation>,
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
