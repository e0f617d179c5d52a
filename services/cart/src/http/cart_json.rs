//! A cart as HTTP shows it.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use makegood_chassis::{entity_tag, problem::Problem, sealed_id, secret::Secret};
use makegood_contracts::{
    id::{CartKind, Kind},
    money::{Money, MoneyJson},
};
use serde::Serialize;
use time::OffsetDateTime;

use crate::cart::Cart;

/// Prefix of sealed cart ids; order opens them under the same one.
pub(super) const ID_PREFIX: &str = CartKind::PREFIX;

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Cart)]
pub(super) struct CartJson {
    /// Sealed: it proves to other services whose cart it is.
    pub(super) id: String,
    #[schema(example = "GBP")]
    currency: &'static str,
    /// `open`, `locked` (a checkout has it) or `closed` (it has become an order).
    status: &'static str,
    /// Grows with every change; the `ETag` is the same number in quotes.
    version: i64,
    /// Sorted by name.
    lines: Vec<LineJson>,
    #[schema(value_type = MoneyJson)]
    total: Money,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CartLine)]
struct LineJson {
    line: String,
    sku: String,
    title: String,
    quantity: i64,
    #[schema(value_type = MoneyJson)]
    unit_price: Money,
    #[schema(value_type = MoneyJson)]
    amount: Money,
}

impl CartJson {
    /// No cart is stored whose total overflows, so that is our own failure here.
    pub(super) fn of(secret: &Secret, cart: &Cart) -> Result<Self, Problem> {
        let line = |line: &crate::cart::Line| {
            Ok(LineJson {
                line: line.name.clone(),
                sku: line.sku.clone(),
                title: line.title.clone(),
                quantity: line.quantity,
                unit_price: Money::new(line.unit_price_minor, cart.currency),
                amount: line.amount(cart.currency)?,
            })
        };
        Ok(Self {
            id: sealed_id::seal(secret, ID_PREFIX, cart.account, cart.id),
            currency: cart.currency.code(),
            status: cart.state.as_str(),
            version: cart.version,
            lines: cart.lines.iter().map(line).collect::<anyhow::Result<_>>()?,
            total: cart.total().map_err(anyhow::Error::from)?,
            created_at: cart.created_at,
        })
    }
}

/// 200 with the cart and its `ETag`.
pub(super) fn shown(secret: &Secret, cart: &Cart) -> Result<Response, Problem> {
    let mut response = Json(CartJson::of(secret, cart)?).into_response();
    entity_tag::insert(response.headers_mut(), cart.version);
    Ok(response)
}
