//! What every caller of one key is answered, byte for byte.
//!
//! The answer to the call that opens a checkout is made of facts that never change once they are there: those of the
//! opening, or the refusal before it. So it does not matter who renders it, when, or how often. It is stored
//! under the key in the transaction that makes it known (see `commands/open_checkout.rs` and `close_checkout.rs`).

use anyhow::Context as _;
use makegood_chassis::idempotency::Answer;
use makegood_contracts::{
    id::{CheckoutId, OrderId},
    money::{Money, MoneyJson},
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{checkout::Status, checkout_row::CheckoutRow};

/// A checkout as it opened.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenedCheckout {
    #[schema(value_type = String, example = "chk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    id: CheckoutId,
    #[schema(value_type = String, example = "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e60")]
    order_id: OrderId,
    /// `open`, or `processing` where it was confirmed in the same call or is not open yet.
    status: &'static str,
    /// Null while it is not open yet.
    #[schema(value_type = Option<MoneyJson>)]
    total: Option<Money>,
    hold: Option<Hold>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

/// The stock that is held for a checkout.
#[derive(Serialize, ToSchema)]
pub(crate) struct Hold {
    /// When the hold ends unless the checkout is confirmed before.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expires_at: OffsetDateTime,
}

/// A refusal as problem+json, for storing; live problems are `chassis::problem::Problem`.
#[derive(Serialize)]
struct Refusal<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: &'a str,
    checkout_id: CheckoutId,
    order_id: OrderId,
    /// The checkout's status as it is told, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkout_status: Option<&'static str>,
}

/// The answer to the call that opened it; none while it is neither open nor decided.
pub(crate) fn opening(row: &CheckoutRow) -> anyhow::Result<Option<Answer>> {
    if row.hold_expires_at.is_some() {
        let (status, said) = if row.confirmed_in_call { (202, Status::Processing) } else { (201, Status::Open) };
        return created(row, status, said.public()).map(Some);
    }
    if row.status.is_final() {
        let code = row.failure_code.as_deref().unwrap_or(row.status.as_str());
        let detail = row.failure_detail.as_deref().unwrap_or_default();
        return refusal(row, code, detail, None).map(Some);
    }
    Ok(None)
}

/// The answer to a confirmation or a cancellation that was taken, and of an opening that takes its time.
pub(crate) fn taken(row: &CheckoutRow, status: Status) -> anyhow::Result<Answer> {
    created(row, 202, status.public())
}

/// A business refusal: 409 with a type named for `code`. `told` adds the status that is the reason.
pub(crate) fn refusal(row: &CheckoutRow, code: &str, detail: &str, told: Option<Status>) -> anyhow::Result<Answer> {
    let kind = kind_of(code);
    let refusal = Refusal {
        r#type: format!("https://makegood.dev/problems/{kind}"),
        title: title_of(&kind),
        status: 409,
        detail,
        checkout_id: CheckoutId::from_uuid(row.id),
        order_id: OrderId::from_uuid(row.order_id),
        checkout_status: told.map(Status::public),
    };
    let body = serde_json::to_string(&refusal).context("rendering a refusal")?;
    Ok(Answer { status: 409, body, location: None })
}

/// Where a checkout is read.
pub(crate) fn location(row: &CheckoutRow) -> String {
    format!("/v1/checkouts/{}", CheckoutId::from_uuid(row.id))
}

fn created(row: &CheckoutRow, status: u16, said: &'static str) -> anyhow::Result<Answer> {
    let opened = OpenedCheckout {
        id: CheckoutId::from_uuid(row.id),
        order_id: OrderId::from_uuid(row.order_id),
        status: said,
        total: row.total().with_context(|| format!("reading the total of checkout {}", row.id))?,
        hold: row.hold_expires_at.map(|expires_at| Hold { expires_at }),
        created_at: row.created_at,
    };
    let body = serde_json::to_string(&opened).context("rendering a checkout")?;
    Ok(Answer { status, body, location: Some(location(row)) })
}

/// `out-of-stock` for `out_of_stock`. Codes come from any participant, so what would not be a clean type is not used.
fn kind_of(code: &str) -> String {
    let clean =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if clean { code.to_ascii_lowercase().replace('_', "-") } else { "checkout-refused".to_owned() }
}

/// `Out of stock` for `out-of-stock`.
fn title_of(kind: &str) -> String {
    let words = kind.replace('-', " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => format!("{}{}", first.to_ascii_uppercase(), letters.as_str()),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_becomes_a_type_and_a_title() {
        for (code, kind, title) in [
            ("out_of_stock", "out-of-stock", "Out of stock"),
            ("cancelled", "cancelled", "Cancelled"),
            ("no such code!", "checkout-refused", "Checkout refused"),
            ("", "checkout-refused", "Checkout refused"),
        ] {
            assert_eq!(kind_of(code), kind);
            assert_eq!(title_of(&kind_of(code)), title);
        }
    }
}
