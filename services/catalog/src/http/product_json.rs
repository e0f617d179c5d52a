//! A product as HTTP shows it.

use makegood_chassis::problem::Problem;
use makegood_contracts::money::{Money, MoneyJson};
use serde::Serialize;

use crate::product::{InvalidProduct, Product};

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Product)]
pub(super) struct ProductJson {
    sku: String,
    title: String,
    /// Sorted by currency.
    #[schema(value_type = Vec<MoneyJson>)]
    prices: Vec<Money>,
    /// False once it is withdrawn from sale.
    active: bool,
    /// Grows by one with every change; the `ETag` is the same number in quotes.
    version: i64,
}

impl ProductJson {
    pub(super) fn of(product: &Product, version: i64) -> Self {
        Self {
            sku: product.sku().to_owned(),
            title: product.title().to_owned(),
            prices: product.prices().collect(),
            active: product.active(),
            version,
        }
    }
}

/// A product that is none, at `prefix` within the request's body.
pub(super) fn invalid(prefix: &str, invalid: InvalidProduct) -> Problem {
    Problem::invalid(&format!("{prefix}{}", invalid.pointer), invalid.detail)
}

/// Products are for sale unless said otherwise.
pub(super) const fn active_by_default() -> bool {
    true
}
