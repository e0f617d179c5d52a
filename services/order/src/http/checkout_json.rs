//! A checkout as it is read.

use anyhow::Context as _;
use makegood_chassis::{sealed_id, secret::Secret};
use makegood_contracts::{
    id::{CheckoutId, OrderId},
    money::{Money, MoneyJson},
};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{checkout::Status, checkout_answer::Hold, checkout_row::CheckoutRow};

/// The prefix of a cart's sealed id.
pub(super) const CART_PREFIX: &str = "crt";

/// A checkout as it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = Checkout)]
pub(super) struct CheckoutJson {
    #[schema(value_type = String, example = "chk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    id: CheckoutId,
    #[schema(value_type = String, example = "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e60")]
    order_id: OrderId,
    cart_id: String,
    /// `open`, `processing`, `requires_action`, `completed`, `failed`, `expired` or `cancelled`.
    status: &'static str,
    /// Null until the checkout is open.
    #[schema(value_type = Option<MoneyJson>)]
    total: Option<Money>,
    /// The hold as it was taken at the opening; null before it and once the checkout is decided.
    hold: Option<Hold>,
    /// What the buyer must do, while the status is `requires_action`.
    #[schema(value_type = Option<Object>)]
    next_action: Option<Value>,
    /// Why it ended otherwise than completed.
    failure: Option<FailureJson>,
    reference: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<OffsetDateTime>,
}

/// Why a checkout ended otherwise than completed.
#[derive(Serialize, ToSchema)]
#[schema(as = CheckoutFailure)]
struct FailureJson {
    /// Stable, such as `out_of_stock`, `card_declined` or `deadline_passed`.
    code: String,
    detail: String,
}

impl CheckoutJson {
    pub(super) fn of(row: &CheckoutRow, secret: &Secret) -> anyhow::Result<Self> {
        let failure = row
            .failure_code
            .clone()
            .map(|code| FailureJson { code, detail: row.failure_detail.clone().unwrap_or_default() });
        Ok(Self {
            id: CheckoutId::from_uuid(row.id),
            order_id: OrderId::from_uuid(row.order_id),
            cart_id: sealed_id::seal(secret, CART_PREFIX, row.account(), row.cart_id),
            status: row.status.public(),
            total: row.total().with_context(|| format!("reading the total of checkout {}", row.id))?,
            hold: row.hold_expires_at.filter(|_| !row.status.is_final()).map(|expires_at| Hold { expires_at }),
            next_action: row.next_action.clone().filter(|_| row.status == Status::RequiresAction),
            failure,
            reference: row.reference.clone(),
            created_at: row.created_at,
            decided_at: row.decided_at,
        })
    }
}
