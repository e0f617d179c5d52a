//! What lines cost: prices come from the catalog unless the shop's server set its own, and nothing overflows.
//!
//! Pure: no SQL, no clock. Amounts are minor units of the cart's one currency.

use iso_currency::Currency;
use makegood_contracts::money::Money;

use crate::cart::Line;

/// What the catalog says of one product to a cart of one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub title: String,
    /// False once it is withdrawn from sale.
    pub active: bool,
    /// Absent where it is not sold in the cart's currency.
    pub price_minor: Option<i64>,
}

/// A line as it is asked for, before it has a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedLine {
    pub name: String,
    pub sku: String,
    pub quantity: i64,
    /// The shop's own price; absent: the catalog's.
    pub own_price_minor: Option<i64>,
}

/// The product is unknown, withdrawn, or has no price in the cart's currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{sku}` is not for sale in {currency}: it is unknown, withdrawn, or has no price in that currency", currency = currency.code())]
pub struct NotForSale {
    pub sku: String,
    pub currency: Currency,
}

/// The sum of the lines does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the total exceeds the largest amount of money, 9223372036854775807 minor units")]
pub struct TotalOverflow;

/// Prices a line. An own price replaces the catalog's price, not the product: that must still be for sale.
pub fn price_line(wanted: WantedLine, currency: Currency, offer: Option<&Offer>) -> Result<Line, NotForSale> {
    let sellable = offer.filter(|offer| offer.active);
    let priced = sellable.and_then(|offer| Some((offer, wanted.own_price_minor.or(offer.price_minor)?)));
    let Some((offer, unit_price_minor)) = priced else {
        return Err(NotForSale { sku: wanted.sku, currency });
    };
    Ok(Line {
        name: wanted.name,
        sku: wanted.sku,
        title: offer.title.clone(),
        quantity: wanted.quantity,
        unit_price_minor,
        own_price: wanted.own_price_minor.is_some(),
    })
}

/// Prices a line again: a price of the shop's own stays, any other becomes what the catalog says now.
pub fn reprice_line(line: &Line, currency: Currency, offer: Option<&Offer>) -> Result<Line, NotForSale> {
    let wanted = WantedLine {
        name: line.name.clone(),
        sku: line.sku.clone(),
        quantity: line.quantity,
        own_price_minor: line.own_price.then_some(line.unit_price_minor),
    };
    price_line(wanted, currency, offer)
}

/// What the lines cost together.
pub fn total(lines: &[Line], currency: Currency) -> Result<Money, TotalOverflow> {
    lines.iter().try_fold(Money::zero(currency), |sum, line| {
        let amount = line.amount(currency)?;
        sum.checked_add(amount).map_err(|_| TotalOverflow)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(active: bool, price_minor: Option<i64>) -> Offer {
        Offer { title: "Lantern".into(), active, price_minor }
    }

    fn wanted(own_price_minor: Option<i64>) -> WantedLine {
        WantedLine { name: "l".into(), sku: "s".into(), quantity: 2, own_price_minor }
    }

    fn line(quantity: i64, unit_price_minor: i64) -> Line {
        Line { name: "l".into(), sku: "s".into(), title: "t".into(), quantity, unit_price_minor, own_price: false }
    }

    #[test]
    fn only_what_is_for_sale_in_the_currency_gets_a_price() {
        let unit_price = |own, offer: Option<Offer>| {
            price_line(wanted(own), Currency::GBP, offer.as_ref())
                .ok()
                .map(|line| (line.unit_price_minor, line.own_price))
        };
        assert_eq!(unit_price(None, Some(offer(true, Some(250)))), Some((250, false)));
        assert_eq!(unit_price(None, Some(offer(true, None))), None, "not sold in this currency");
        assert_eq!(unit_price(None, Some(offer(false, Some(250)))), None, "withdrawn");
        assert_eq!(unit_price(None, None), None, "unknown");
        assert_eq!(unit_price(Some(99), Some(offer(true, Some(250)))), Some((99, true)));
        assert_eq!(
            unit_price(Some(99), Some(offer(true, None))),
            Some((99, true)),
            "own price, no price in this currency"
        );
        assert_eq!(unit_price(Some(99), Some(offer(false, Some(250)))), None, "own price, but withdrawn");
    }

    #[test]
    fn repricing_takes_the_catalogs_price_and_leaves_the_shops_own() {
        let now = offer(true, Some(300));
        let own = Line { own_price: true, ..line(1, 99) };
        assert_eq!(reprice_line(&line(1, 250), Currency::GBP, Some(&now)).map(|line| line.unit_price_minor), Ok(300));
        assert_eq!(reprice_line(&own, Currency::GBP, Some(&now)).map(|line| line.unit_price_minor), Ok(99));
    }

    proptest! {
        /// Against arithmetic that cannot overflow: the exact sum, or a refusal exactly where it does not fit.
        #[test]
        fn a_total_is_exact_or_refused(
            pairs in prop::collection::vec((1..=1_000_000_i64, prop_oneof![0..=100_000_i64, 0..=i64::MAX]), 0..40)
        ) {
            let lines: Vec<Line> = pairs.iter().map(|&(quantity, price)| line(quantity, price)).collect();
            let exact: i128 = pairs.iter().map(|&(quantity, price)| i128::from(quantity) * i128::from(price)).sum();
            let expected = i64::try_from(exact).map(|minor| Money::new(minor, Currency::GBP)).map_err(|_| TotalOverflow);
            prop_assert_eq!(total(&lines, Currency::GBP), expected);
        }
    }
}
