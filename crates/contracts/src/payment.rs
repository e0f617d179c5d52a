//! Commands of the payment service. An intent belongs to one saga: the saga's id is the intent's id.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{account::Account, money::Money};

pub const AUTHORIZE_PAYMENT: &str = "payment.authorize_payment";
pub const VOID_PAYMENT: &str = "payment.void_payment";
pub const CAPTURE_PAYMENT: &str = "payment.capture_payment";
pub const REFUND_PAYMENT: &str = "payment.refund_payment";

/// Authorizes the order's total on a payment method. Also the input of its undo, `void_payment`.
///
/// Answers `pending` with reason `requires_action` and detail [`NextAction`] when the buyer must
/// authenticate (3-D Secure) first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthorizePayment {
    #[serde(flatten)]
    pub account: Account,
    pub order_id: Uuid,
    pub amount: Money,
    /// A token such as `pm_card_visa`; never a card number.
    pub payment_method: String,
    /// The shop's own reference, shown in the books.
    #[serde(default)]
    pub reference: Option<String>,
}

/// Output of `authorize_payment`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthorizedPayment {
    pub payment_intent_id: Uuid,
}

/// Where the buyer goes to authenticate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NextAction {
    pub redirect_url: String,
}

/// Input of `capture_payment`: the saga's own intent, in full.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OwnIntent {}

/// Output of `capture_payment`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CapturedPayment {
    pub captured: Money,
}

/// Gives money back: of the saga's own intent, or of the one named (a return's saga is not the checkout's).
///
/// Where less is left, because an operator has given back a part before, what is left goes back. [`RefundedPayment`] says how much.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefundPayment {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent_id: Option<Uuid>,
    /// At most.
    pub amount: Money,
    /// What the refund is known by, for ever: a second one under the same id is refused.
    pub refund_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Output of `refund_payment`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefundedPayment {
    /// The one that was asked for; where all had gone back before, the last refund before it.
    pub refund_id: Uuid,
    /// What went back now: nothing, where all had gone back before.
    pub refunded: Money,
}
