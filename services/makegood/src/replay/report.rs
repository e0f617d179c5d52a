//! What a replay did, held against the file to the penny and against the books.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use super::{invoice::Invoice, orders::Sums, place::Ended, rules::Why};

/// The first reasons are enough to see what is wrong.
const KEPT_REASONS: usize = 20;

/// How many, and for how much.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    pub(crate) count: u64,
    #[serde(with = "rust_decimal::serde::str")]
    pub(crate) amount: Decimal,
}

impl Count {
    pub(crate) fn add(&mut self, count: u64, amount: Decimal) {
        self.count += count;
        self.amount += amount;
    }
}

/// Everything that became of the lines read so far.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Tally {
    /// Orders that were sent.
    pub(crate) placed: Count,
    pub(crate) completed: Count,
    /// By code.
    pub(crate) refused: BTreeMap<String, Count>,
    /// Orders without a final answer, and the first reasons.
    pub(crate) undecided: Count,
    pub(crate) undecided_because: Vec<String>,
    /// Completed orders whose total is not the file's.
    pub(crate) wrong_totals: Vec<String>,
    /// Lines by reason.
    pub(crate) skipped_lines: BTreeMap<Why, Count>,
    pub(crate) cancellations: Count,
    pub(crate) adjustments: Count,
}

impl Tally {
    /// Lines that are no part of an order.
    pub(crate) fn leave(&mut self, why: Why, lines: u64, amount: Decimal) {
        let count = match why {
            Why::Cancellation => &mut self.cancellations,
            Why::Adjustment => &mut self.adjustments,
            Why::NoGoods
            | Why::NoQuantity
            | Why::NoPrice
            | Why::FractionOfPenny
            | Why::UnusableSku
            | Why::QuantityTooLarge
            | Why::Malformed
            | Why::BeyondLimit => self.skipped_lines.entry(why).or_default(),
        };
        count.add(lines, amount);
    }

    pub(crate) fn end(&mut self, invoice: &Invoice, ended: Ended) {
        self.placed.add(1, invoice.amount);
        match ended {
            Ended::Completed { total } => {
                self.completed.add(1, invoice.amount);
                if total != Some(invoice.amount) && self.wrong_totals.len() < KEPT_REASONS {
                    let told = total.map_or_else(|| "no GBP amount".to_owned(), |total| total.to_string());
                    self.wrong_totals.push(format!("invoice {}: {told} instead of {}", invoice.number, invoice.amount));
                }
            }
            Ended::Refused { code } => self.refused.entry(code).or_default().add(1, invoice.amount),
            Ended::Undecided { why } => {
                self.undecided.add(1, invoice.amount);
                if self.undecided_because.len() < KEPT_REASONS {
                    self.undecided_because.push(format!("invoice {}: {why}", invoice.number));
                }
            }
        }
    }

    pub(crate) fn refused_in_all(&self) -> Count {
        sum(self.refused.values())
    }

    pub(crate) fn skipped_in_all(&self) -> Count {
        sum(self.skipped_lines.values())
    }

    /// The right side of: file = completed + refused + undecided + skipped + cancellations + adjustments.
    pub(crate) fn accounted(&self) -> Decimal {
        self.completed.amount
            + self.refused_in_all().amount
            + self.undecided.amount
            + self.skipped_in_all().amount
            + self.cancellations.amount
            + self.adjustments.amount
    }
}

fn sum<'a>(counts: impl Iterator<Item = &'a Count>) -> Count {
    counts.fold(Count::default(), |mut sum, count| {
        sum.add(count.count, count.amount);
        sum
    })
}

/// One thing that has to hold at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) says: &'static str,
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

/// What the two sets of books say of the run's orders, in GBP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Books {
    #[serde(with = "rust_decimal::serde::str")]
    pub(crate) ledger_captured: Decimal,
    #[serde(with = "rust_decimal::serde::str")]
    pub(crate) provider_captured: Decimal,
}

/// The report as `-o json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) file: String,
    pub(crate) sha256: String,
    pub(crate) reference_prefix: String,
    pub(crate) lines: u64,
    pub(crate) orders_in_file: u64,
    #[serde(with = "rust_decimal::serde::str")]
    pub(crate) file_total: Decimal,
    #[serde(flatten)]
    pub(crate) tally: Tally,
    pub(crate) books: Option<Books>,
    pub(crate) interrupted: bool,
    pub(crate) seconds: f64,
    pub(crate) orders_per_second: f64,
    pub(crate) checks: Vec<Check>,
    pub(crate) ok: bool,
}

/// The checks that need nothing but the file and the answers.
pub(crate) fn own_checks(tally: &Tally, file: &Sums, read: &Sums) -> Vec<Check> {
    let difference = file.amount - tally.accounted();
    vec![
        Check {
            says: "the file is read to its end, and is the same in both passes",
            ok: file == read,
            detail: format!(
                "{} lines for {} GBP at first, then {} for {}",
                file.lines, file.amount, read.lines, read.amount
            ),
        },
        Check {
            says: "file = completed + refused + undecided + skipped + cancellations + adjustments",
            ok: difference.is_zero(),
            detail: format!("{} GBP = {} GBP, difference {difference}", file.amount, tally.accounted()),
        },
        Check {
            says: "every order has ended",
            ok: tally.undecided.count == 0,
            detail: format!("{} undecided", tally.undecided.count),
        },
        Check {
            says: "each completed order costs what the file says",
            ok: tally.wrong_totals.is_empty(),
            detail: if tally.wrong_totals.is_empty() { "all equal".to_owned() } else { tally.wrong_totals.join("; ") },
        },
    ]
}

/// Completed = captured at the provider = the ledger.
pub(crate) fn book_checks(tally: &Tally, books: &Books, limited: bool) -> Vec<Check> {
    let completed = tally.completed.amount;
    let hint = if limited { " (orders that an earlier run placed beyond --limit are in the books too)" } else { "" };
    [
        ("completed orders = the ledger's captures", books.ledger_captured),
        ("completed orders = the provider's captures", books.provider_captured),
    ]
    .into_iter()
    .map(|(says, captured)| Check {
        says,
        ok: captured == completed,
        detail: format!(
            "{completed} GBP completed, {captured} GBP captured{}",
            if captured == completed { "" } else { hint }
        ),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoice(amount: &str) -> Invoice {
        Invoice {
            number: "1".into(),
            first_line: 1,
            customer: String::new(),
            country: String::new(),
            lines: Vec::new(),
            file_lines: 1,
            amount: amount.parse().expect("a decimal"),
        }
    }

    #[test]
    fn sums_balance_to_the_last_digit_and_a_missing_fraction_shows() {
        let mut tally = Tally::default();
        tally.end(&invoice("10.10"), Ended::Completed { total: Some(Decimal::new(1010, 2)) });
        tally.end(&invoice("5.00"), Ended::Refused { code: "out-of-stock".into() });
        tally.leave(Why::NoGoods, 1, "0.001".parse().expect("a decimal"));
        tally.leave(Why::Cancellation, 1, "-3.20".parse().expect("a decimal"));
        let file = Sums { lines: 4, amount: "11.901".parse().expect("a decimal") };
        assert!(own_checks(&tally, &file, &file).iter().all(|check| check.ok));
        let other = Sums { lines: 4, amount: "11.902".parse().expect("a decimal") };
        let failed: Vec<_> = own_checks(&tally, &other, &file).into_iter().map(|check| check.ok).collect();
        assert_eq!(failed, [false, false, true, true]);
    }

    #[test]
    fn a_total_that_differs_and_books_that_differ_fail() {
        let mut tally = Tally::default();
        tally.end(&invoice("10.10"), Ended::Completed { total: Some(Decimal::new(1011, 2)) });
        assert_eq!(tally.wrong_totals, ["invoice 1: 10.11 instead of 10.10"]);
        let books = Books { ledger_captured: Decimal::new(1010, 2), provider_captured: Decimal::new(1000, 2) };
        assert_eq!(book_checks(&tally, &books, false).iter().map(|check| check.ok).collect::<Vec<_>>(), [true, false]);
    }
}
