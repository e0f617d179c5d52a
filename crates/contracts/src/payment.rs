//! Commands of the payment service. An intent belongs to one saga: the saga's id is the intent's id.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
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
    /// A token such as `pm_card_visa`; never a card number. Whatever an operator confirmed with instead is read as none, so that it is
    /// refused, and undone, like any other token that cannot be used.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub payment_method: String,
    /// The shop's own reference, shown in the books.
    #[serde(default)]
    pub reference: Option<String>,
}

fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => String::new(),
    })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_token_is_read_as_none_and_not_as_an_unreadable_message() {
        let input = |method: Value| {
            let mut input = json!({"account_id": Uuid::nil(), "livemode": false, "order_id": Uuid::nil(),
                                   "amount": {"amount": "1.00", "currency": "GBP"}});
            if !method.is_null() {
                input["payment_method"] = method;
            }
            serde_json::from_value::<AuthorizePayment>(input).expect("it can be read").payment_method
        };
        assert_eq!(input(json!("pm_card_visa")), "pm_card_visa");
        for method in [json!(null), json!(5), json!({"payment_method": "pm_card_visa"}), json!([])] {
            assert_eq!(input(method), "");
        }
    }
}
