//! The rules of a return: what can be announced, what may come of it, and what goes back to the buyer. No I/O, no clock.
//!
//! A return is announced by SKU and kept by the order's lines, since two lines of one SKU may have cost differently; units
//! are taken from the lines in their order. What is announced is bound to its return until it is decided: what does not
//! come, and all of a return that comes to nothing, can be announced again.

use std::collections::BTreeMap;

use makegood_contracts::{
    cart::PricedLine,
    inventory::ReturnedLine,
    order::{NOT_RETURNED, ORDER_RETURN_ENDED, ORDER_RETURNED},
};
use serde::{Deserialize, Serialize};

use crate::refund_share::{Share, of_lines};

/// Codes of a return that came to nothing.
pub const RETURN_CANCELLED: &str = "return_cancelled";
pub const RETURN_EXPIRED: &str = "return_expired";

/// How far a return is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Announced: the goods are waited for.
    Open,
    /// Somebody said what came; the refund is under way.
    Received,
    /// The money is back.
    Completed,
    /// Called off before anything came.
    Cancelled,
    /// Nothing came in time.
    Expired,
    /// Its saga came to nothing for another reason.
    Refused,
}

impl Status {
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Received, Self::Completed, Self::Cancelled, Self::Expired, Self::Refused];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Received => "received",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }

    /// The event of an order whose return's saga has ended so.
    pub const fn ending_event(self) -> &'static str {
        match self {
            Self::Completed => ORDER_RETURNED,
            Self::Open | Self::Received | Self::Cancelled | Self::Expired | Self::Refused => ORDER_RETURN_ENDED,
        }
    }
}

/// A table held a status that this build does not know.
#[derive(Debug, thiserror::Error)]
#[error("there is no return status `{0}`")]
pub struct UnknownStatus(String);

impl TryFrom<String> for Status {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus(text))
    }
}

/// Units of one of the order's lines that are to come back, and what came of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnLine {
    /// The order's line.
    pub line: String,
    pub sku: String,
    /// Announced, and what they are worth.
    pub quantity: i64,
    pub amount_minor: i64,
    /// What came; nothing while the goods are waited for.
    #[serde(default)]
    pub received: i64,
    /// Of that, what can be sold again.
    #[serde(default)]
    pub restock: i64,
    /// What goes back for it.
    #[serde(default)]
    pub refund_minor: i64,
}

impl ReturnLine {
    /// What it has of its order's line: what is announced counts until it is known what came.
    pub const fn taken(&self, status: Status) -> Share {
        match status {
            Status::Open => Share { units: self.quantity, minor: self.amount_minor },
            Status::Received | Status::Completed => Share { units: self.received, minor: self.refund_minor },
            Status::Cancelled | Status::Expired | Status::Refused => Share { units: 0, minor: 0 },
        }
    }
}

/// Why goods cannot be announced or received; the SKU is the caller's own.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none of it in the order, or in the return.
    Unknown { sku: String },
    /// So many there are at most.
    TooMany { sku: String, at_most: i64 },
}

/// How much of each SKU; several entries of one add up.
pub type Units = BTreeMap<String, i64>;

/// Takes units of an order's lines for a return. `taken` is what its other returns have, by line.
pub fn announce(
    sold: &[PricedLine],
    total_minor: i64,
    taken: &BTreeMap<String, Share>,
    wanted: &Units,
) -> anyhow::Result<Result<Vec<ReturnLine>, Refusal>> {
    let shares = of_lines(sold, total_minor)?;
    let mut announced = Vec::new();
    for (sku, &quantity) in wanted {
        let mut left = quantity;
        let lines = sold.iter().zip(&shares).filter(|(line, _)| line.sku == *sku);
        if lines.clone().next().is_none() {
            return Ok(Err(Refusal::Unknown { sku: sku.clone() }));
        }
        for (line, share) in lines {
            // A line of which nothing was returned yet is not among those taken.
            let part = share.next(taken.get(&line.line).copied().unwrap_or_default(), left);
            left -= part.units;
            if part.units > 0 {
                announced.push(announced_line(line, part));
            }
        }
        if left > 0 {
            return Ok(Err(Refusal::TooMany { sku: sku.clone(), at_most: quantity - left }));
        }
    }
    Ok(Ok(announced))
}

fn announced_line(line: &PricedLine, part: Share) -> ReturnLine {
    ReturnLine {
        line: line.line.clone(),
        sku: line.sku.clone(),
        quantity: part.units,
        amount_minor: part.minor,
        received: 0,
        restock: 0,
        refund_minor: 0,
    }
}

/// What came, by SKU.
#[derive(Debug, Clone, Default)]
pub struct Arrived {
    pub units: Units,
    /// Of those, what can be sold again.
    pub sellable: Units,
}

/// Writes what came into a return's lines. No more comes than was announced.
pub fn receive(lines: &[ReturnLine], arrived: &Arrived) -> Result<Vec<ReturnLine>, Refusal> {
    for (sku, &quantity) in &arrived.units {
        let announced: i64 = lines.iter().filter(|line| line.sku == *sku).map(|line| line.quantity).sum();
        if announced == 0 {
            return Err(Refusal::Unknown { sku: sku.clone() });
        }
        if quantity > announced {
            return Err(Refusal::TooMany { sku: sku.clone(), at_most: announced });
        }
    }
    let mut left = arrived.clone();
    let received = lines.iter().map(|line| {
        let came = take(&mut left.units, &line.sku, line.quantity);
        let refund = Share { units: line.quantity, minor: line.amount_minor }.first(came);
        let restock = take(&mut left.sellable, &line.sku, came);
        ReturnLine { received: came, restock, refund_minor: refund.minor, ..line.clone() }
    });
    Ok(received.collect())
}

fn take(units: &mut Units, sku: &str, at_most: i64) -> i64 {
    let Some(left) = units.get_mut(sku) else { return 0 };
    let taken = at_most.min(*left);
    *left -= taken;
    taken
}

/// What goes back for all lines: of what was announced, and once it is known of what came.
pub fn refund_minor(lines: &[ReturnLine], status: Status) -> i64 {
    lines.iter().map(|line| line.taken(status).minor).sum()
}

/// What can be sold again.
pub fn restock(lines: &[ReturnLine]) -> Vec<ReturnedLine> {
    let mut units = Units::new();
    for line in lines.iter().filter(|line| line.restock > 0) {
        *units.entry(line.sku.clone()).or_default() += line.restock;
    }
    units.into_iter().map(|(sku, quantity)| ReturnedLine { sku, quantity }).collect()
}

/// How much of an order has come back.
pub const fn return_status(returned_units: i64, sold_units: i64) -> &'static str {
    if returned_units == 0 {
        NOT_RETURNED
    } else if returned_units < sold_units {
        "partially_returned"
    } else {
        "returned"
    }
}

#[cfg(test)]
mod tests;
