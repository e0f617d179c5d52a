//! The return of goods of a completed order: what its saga, `return-order`, begins with, and the order service's steps in it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{account::Account, inventory::ReturnedLine, money::Money, orchestrator::SagaEnd};

pub const BEGIN_RETURN: &str = "order.begin_return";
pub const ACCEPT_RETURN: &str = "order.accept_return";
pub const END_RETURN: &str = "order.end_return";

/// The definition that takes goods of a completed order back; the saga's id is the return's.
pub const RETURN_ORDER_SAGA: &str = "return-order";

/// The saga's input, and so `$.input` in the definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReturnOrderInput {
    #[serde(flatten)]
    pub account: Account,
    pub return_id: Uuid,
    pub order_id: Uuid,
    pub checkout_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The saga runs. Refused with `return_cancelled` when the return was called off meanwhile.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginReturn {
    pub return_id: Uuid,
}

/// Output of `begin_return`: how long the goods are waited for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BegunReturn {
    #[serde(with = "time::serde::rfc3339")]
    pub receive_by: OffsetDateTime,
}

/// The signal that the goods have come. It wakes the saga; what came is in the order service's own row.
pub const GOODS_RECEIVED: &str = "goods_received";

/// Payload of [`GOODS_RECEIVED`], for whoever reads the saga.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceivedGoods {
    pub return_id: Uuid,
    pub units: i64,
}

/// Decides the return by what the order service knows: the goods have come, and from here on there is no way back.
///
/// Refused with `return_expired` when they have not, and with `return_cancelled` when it was called off.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcceptReturn {
    pub return_id: Uuid,
}

/// Output of `accept_return`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcceptedReturn {
    /// The share of the order's total that what came is worth.
    pub refund: Money,
    /// It is worth nothing, so no payment is asked for anything.
    pub nothing_to_refund: bool,
    /// What can be sold again.
    pub restock: Vec<ReturnedLine>,
    pub nothing_to_restock: bool,
}

/// Payload of `end_return`, the definition's `finally`: how the saga ended.
pub type EndReturn = SagaEnd<EndedReturn>;

/// The `finally` input of the definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndedReturn {
    pub return_id: Uuid,
    /// The refund that was made; none where there was nothing to give back.
    #[serde(default)]
    pub refund_id: Option<Uuid>,
    /// How much is back in stock; none where nothing could be sold again.
    #[serde(default)]
    pub restocked_units: Option<i64>,
}
