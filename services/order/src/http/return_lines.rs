//! The lines of a request about a return, and why they are refused.

use makegood_chassis::problem::Problem;
use makegood_contracts::id::OrderId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::order_return::{Arrived, Refusal, Units};

/// As many as a cart has.
const MAX_LINES: usize = 2_000;
/// As many as a cart's line has.
const MAX_UNITS: i64 = 1_000_000;

/// Units of one SKU.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnedUnits {
    #[schema(example = "TEA-1")]
    sku: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
}

/// Units of one SKU that came.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceivedUnits {
    #[schema(example = "TEA-1")]
    sku: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
    /// They can be sold again.
    restock: bool,
}

/// The units by SKU.
pub(super) fn add_up(lines: &[ReturnedUnits]) -> Result<Units, Problem> {
    check_count(lines.len())?;
    let mut units = Units::new();
    for (index, line) in lines.iter().enumerate() {
        add(&mut units, index, &line.sku, line.quantity)?;
    }
    Ok(units)
}

/// What came, by SKU.
pub(super) fn add_up_received(lines: &[ReceivedUnits]) -> Result<Arrived, Problem> {
    check_count(lines.len())?;
    let mut arrived = Arrived::default();
    for (index, line) in lines.iter().enumerate() {
        add(&mut arrived.units, index, &line.sku, line.quantity)?;
        if line.restock {
            add(&mut arrived.sellable, index, &line.sku, line.quantity)?;
        }
    }
    Ok(arrived)
}

fn check_count(lines: usize) -> Result<(), Problem> {
    match lines {
        1..=MAX_LINES => Ok(()),
        _ => Err(Problem::invalid("/lines", format!("There must be 1 to {MAX_LINES} lines."))),
    }
}

fn add(units: &mut Units, index: usize, sku: &str, quantity: i64) -> Result<(), Problem> {
    if !(1..=MAX_UNITS).contains(&quantity) {
        return Err(Problem::invalid(&format!("/lines/{index}/quantity"), format!("It is from 1 to {MAX_UNITS}.")));
    }
    // 2,000 lines of a million units are far from the end of an i64.
    *units.entry(sku.to_owned()).or_default() += quantity;
    Ok(())
}

/// Why goods cannot be announced: a business refusal.
pub(super) fn not_announced(refusal: Refusal, order: OrderId) -> Problem {
    let problem = match refusal {
        Refusal::Unknown { sku } => {
            Problem::conflict("return-line-unknown", "Not in the order", "The order has no such goods.")
                .with("sku", sku)
        }
        Refusal::TooMany { sku, at_most } => {
            let detail = format!("{at_most} units can be returned: the others were, or are on their way back.");
            Problem::conflict("return-exceeds-order", "More than was sold", detail)
                .with("sku", sku)
                .with("at_most", at_most)
        }
    };
    problem.with("order_id", order.to_string())
}

/// Why goods cannot be received: a business refusal.
pub(super) fn not_received(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unknown { sku } => {
            let detail = "The return has no such goods: announce a return of them.";
            Problem::conflict("return-line-unknown", "Not in the return", detail).with("sku", sku)
        }
        Refusal::TooMany { sku, at_most } => {
            let detail = format!("{at_most} units were announced: announce a return of the others.");
            Problem::conflict("return-exceeds-announced", "More than was announced", detail)
                .with("sku", sku)
                .with("at_most", at_most)
        }
    }
}
