//! Commands of the order service as a participant in its own checkout, and the events that it tells.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{account::Account, cart::PricedLine, money::Money, orchestrator::SagaEnd};

pub const OPEN_CHECKOUT: &str = "order.open_checkout";
pub const REQUIRE_ACTION: &str = "order.require_action";
pub const CLOSE_CHECKOUT: &str = "order.close_checkout";
pub const BEGIN_CANCEL: &str = "order.begin_cancel";
pub const END_CANCEL: &str = "order.end_cancel";

/// The definition that a checkout runs.
pub const CHECKOUT_SAGA: &str = "checkout";

/// The saga's input, and so `$.input` in the checkout's definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckoutInput {
    #[serde(flatten)]
    pub account: Account,
    pub checkout_id: Uuid,
    pub order_id: Uuid,
    pub cart_id: Uuid,
    /// The buyer's; no shipped step reads it, but those that a shop adds may (points, a receipt).
    pub email: String,
    pub shipping_method: String,
    pub shipping_address: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_total: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Confirmed by the call that opened it: the confirmation comes with the start.
    #[serde(default)]
    pub confirmed: bool,
}

/// The signal of the buyer who confirms.
pub const CONFIRMATION: &str = "confirmation";

/// Payload of [`CONFIRMATION`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Confirmation {
    pub payment_method: String,
}

/// The cart is priced and its stock is held: the checkout is open and the order has its lines.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenCheckout {
    pub lines: Vec<PricedLine>,
    pub total: Money,
    #[serde(with = "time::serde::rfc3339")]
    pub hold_expires_at: OffsetDateTime,
}

/// The reason of a pending step for which the buyer must act; [`RequireAction`] with another reason changes nothing.
pub const REQUIRES_ACTION: &str = "requires_action";

/// Told while a step is pending: the buyer must act. The command's payload is that step's `pending` detail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequireAction {
    pub reason: String,
    pub detail: Value,
}

/// Payload of `close_checkout`, the definition's `finally`: how the saga ended.
pub type CloseCheckout = SagaEnd<EndedCheckout>;

/// The `finally` input of the definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndedCheckout {
    pub checkout_id: Uuid,
    /// All shipments of the order, so that the last of them to leave is known as the last. Absent where the
    /// definition does not say: then the first that leaves makes the order shipped.
    #[serde(default)]
    pub shipment_ids: Option<Vec<Uuid>>,
}

/// The definition that cancels a completed order; the saga's id is the cancellation's.
pub const CANCEL_ORDER_SAGA: &str = "cancel-order";

/// The saga's input, and so `$.input` in the definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CancelOrderInput {
    #[serde(flatten)]
    pub account: Account,
    pub cancellation_id: Uuid,
    pub order_id: Uuid,
    pub checkout_id: Uuid,
    /// What goes back to the buyer.
    pub total: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The saga runs. Refused with `order_shipped` when a part of the order has left meanwhile.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginCancel {
    pub cancellation_id: Uuid,
}

/// Payload of `end_cancel`, the definition's `finally`: how the saga ended.
pub type EndCancel = SagaEnd<EndedCancellation>;

/// The `finally` input of the definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndedCancellation {
    pub cancellation_id: Uuid,
}

/// Names of the events that carry [`OrderChanged`]; their subject is the order's id (`ord_…`).
pub const ORDER_OPENED: &str = "order.opened";
pub const ORDER_COMPLETED: &str = "order.completed";
pub const ORDER_FAILED: &str = "order.failed";
pub const ORDER_EXPIRED: &str = "order.expired";
pub const ORDER_CANCELLED: &str = "order.cancelled";
pub const ORDER_SHIPPED: &str = "order.shipped";
pub const ORDER_CANCEL_REQUESTED: &str = "order.cancel_requested";
pub const ORDER_CANCEL_REFUSED: &str = "order.cancel_refused";
pub const ORDER_RETURN_REQUESTED: &str = "order.return_requested";
pub const ORDER_RETURNED: &str = "order.returned";
/// A return that came to nothing.
pub const ORDER_RETURN_ENDED: &str = "order.return_ended";

/// The `return_status` of an order of which nothing has come back.
pub const NOT_RETURNED: &str = "none";

/// An order as it is after the event. Who bought and where it goes are not told: whoever may know asks for the order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderChanged {
    pub order_id: Uuid,
    pub checkout_id: Uuid,
    /// `pending`, `completed`, `failed`, `expired` or `cancelled`.
    pub status: String,
    /// `unfulfilled`, `partially_shipped` or `shipped`.
    pub fulfillment_status: String,
    /// `none`, `partially_returned` or `returned`.
    #[serde(default = "not_returned")]
    pub return_status: String,
    pub total: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The return that an event about one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<Uuid>,
    /// Why, of an order that ended otherwise than completed, or of a return that came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
}

/// What an event says that was written before there were returns.
fn not_returned() -> String {
    NOT_RETURNED.to_owned()
}
