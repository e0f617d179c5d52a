//! A product by its rules: what may be told of it, and what counts as a change.
//!
//! Pure: no SQL, no clock, no HTTP.

use std::collections::BTreeMap;

use makegood_contracts::{catalog::check_sku, money::Money, plain_text::is_plain_text};

/// Longest title: a paragraph, so that a cart of 2,000 lines still fits a message.
pub const TITLE_CHARS_MAX: usize = 500;
/// Most prices of one product: more currencies than any shop trades in, few enough for one event.
pub const PRICES_MAX: usize = 60;
/// The version of a product that was just made.
pub const FIRST_VERSION: i64 = 1;

/// What is sold, and for how much in each currency. [`Product::new`] is the only way to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    sku: String,
    title: String,
    active: bool,
    /// By ISO 4217 code.
    prices: BTreeMap<&'static str, Money>,
}

/// Why something is no product: `pointer` names the field (RFC 6901), `detail` is worded for the caller.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct InvalidProduct {
    pub pointer: String,
    pub detail: String,
}

impl InvalidProduct {
    fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl Product {
    pub fn new(sku: String, title: String, prices: Vec<Money>, active: bool) -> Result<Self, InvalidProduct> {
        check_sku(&sku).map_err(|error| InvalidProduct::new("/sku", error.to_string()))?;
        check_title(&title)?;
        if !(1..=PRICES_MAX).contains(&prices.len()) {
            return Err(InvalidProduct::new("/prices", format!("a product has 1 to {PRICES_MAX} prices")));
        }
        let mut by_currency = BTreeMap::new();
        for (position, price) in prices.into_iter().enumerate() {
            if price.minor_units < 0 {
                return Err(InvalidProduct::new(format!("/prices/{position}/amount"), "a price is not negative"));
            }
            if by_currency.insert(price.code(), price).is_some() {
                return Err(InvalidProduct::new(format!("/prices/{position}/currency"), "one price per currency"));
            }
        }
        Ok(Self { sku, title, active, prices: by_currency })
    }

    pub fn sku(&self) -> &str {
        &self.sku
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn active(&self) -> bool {
        self.active
    }

    /// Sorted by currency.
    pub fn prices(&self) -> impl Iterator<Item = Money> + '_ {
        self.prices.values().copied()
    }
}

fn check_title(title: &str) -> Result<(), InvalidProduct> {
    if title.trim().is_empty() || !is_plain_text(title, TITLE_CHARS_MAX) {
        let detail = format!("a title has 1 to {TITLE_CHARS_MAX} characters, none of them a control character");
        return Err(InvalidProduct::new("/title", detail));
    }
    Ok(())
}

/// What writing a product came to. Writing what is there already is no change: the version stays and nobody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Created,
    Updated,
    Unchanged,
}

/// A product with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    pub product: Product,
    pub version: i64,
}

impl Versioned {
    /// The change and the version after it, if this is to become `wanted`.
    pub fn change_to(&self, wanted: &Product) -> (Change, i64) {
        match self.product == *wanted {
            true => (Change::Unchanged, self.version),
            false => (Change::Updated, self.version + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;

    use super::*;

    const GBP: Money = Money::new(250, Currency::GBP);
    const USD: Money = Money::new(300, Currency::USD);

    fn pointer(sku: &str, title: &str, prices: &[Money]) -> Option<String> {
        Product::new(sku.into(), title.into(), prices.to_vec(), true).err().map(|invalid| invalid.pointer)
    }

    #[test]
    fn what_is_no_product_is_refused_with_the_field_that_is_wrong() {
        assert_eq!(pointer("lantern", "Lantern", &[GBP, USD]), None);
        assert_eq!(pointer("lantern", "A gift", &[Money::zero(Currency::GBP)]), None);
        let negative = Money::new(-1, Currency::GBP);
        let too_long = "x".repeat(TITLE_CHARS_MAX + 1);
        for (sku, title, prices, expected) in [
            ("a b", "Lantern", &[GBP][..], "/sku"),
            ("lantern", "  ", &[GBP][..], "/title"),
            ("lantern", "Lan\0tern", &[GBP][..], "/title"),
            ("lantern", too_long.as_str(), &[GBP][..], "/title"),
            ("lantern", "Lantern", &[][..], "/prices"),
            ("lantern", "Lantern", &[USD, negative][..], "/prices/1/amount"),
            ("lantern", "Lantern", &[GBP, USD, GBP][..], "/prices/2/currency"),
        ] {
            assert_eq!(pointer(sku, title, prices).as_deref(), Some(expected), "{sku:?} {title:?}");
        }
    }

    #[test]
    fn the_order_of_prices_is_no_change_and_anything_else_is() {
        let product = |title: &str, prices: &[Money], active| {
            Product::new("s".into(), title.into(), prices.to_vec(), active).expect("valid")
        };
        let now = Versioned { product: product("t", &[GBP, USD], true), version: 4 };
        assert_eq!(now.change_to(&product("t", &[USD, GBP], true)), (Change::Unchanged, 4));
        for wanted in [product("u", &[GBP, USD], true), product("t", &[GBP], true), product("t", &[GBP, USD], false)] {
            assert_eq!(now.change_to(&wanted), (Change::Updated, 5));
        }
    }
}
