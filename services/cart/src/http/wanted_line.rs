//! Checks at the door that every line passes, whether it comes with a new cart or alone.

use iso_currency::Currency;
use makegood_chassis::{
    auth::{Caller, Scope},
    problem::Problem,
};
use makegood_contracts::{catalog::check_sku, money::Money};

use crate::cart::QUANTITY_MAX;

/// 422 naming `pointer` unless the text is a SKU, or a line's name, which has the same grammar.
pub(super) fn check_name(text: &str, pointer: &str) -> Result<(), Problem> {
    check_sku(text).map_err(|error| Problem::invalid(pointer, error.to_string()))
}

pub(super) fn check_quantity(quantity: i64, pointer: &str) -> Result<(), Problem> {
    match quantity {
        1..=QUANTITY_MAX => Ok(()),
        0 => Err(Problem::invalid(pointer, "the quantity is at least 1; DELETE removes a line")),
        _ => Err(Problem::invalid(pointer, format!("the quantity is from 1 to {QUANTITY_MAX}"))),
    }
}

/// A shop's own price in minor units: only its server may set one (403), in the cart's currency (422).
pub(super) fn check_own_price(
    caller: &Caller,
    price: Option<Money>,
    currency: Currency,
    pointer: &str,
) -> Result<Option<i64>, Problem> {
    let Some(price) = price else { return Ok(None) };
    caller.require(Scope::Server)?;
    if price.currency != currency {
        return Err(Problem::invalid(&format!("{pointer}/currency"), format!("the cart is in {}", currency.code())));
    }
    if price.minor_units < 0 {
        return Err(Problem::invalid(&format!("{pointer}/amount"), "a price is not negative"));
    }
    Ok(Some(price.minor_units))
}
