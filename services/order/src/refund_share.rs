//! What a part of an order is worth when it comes back, in minor units. No I/O, no clock.
//!
//! An order's total is shared among its lines by what they cost, and a line's share among its units, each time by the
//! largest remainder. Some units of a line are therefore one minor unit dearer than the others, and the dearer ones go
//! back first. Whatever order units come back in, and however many returns they are spread over, all of them together
//! are worth the total: nothing is lost to rounding and nothing is given away.

use anyhow::Context as _;
use makegood_contracts::cart::PricedLine;

/// Units of one line and what they are worth together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub units: i64,
    pub minor: i64,
}

impl Share {
    /// What so many units are worth, of those that are left when `taken` of this share is gone. More than are left are
    /// worth nothing more.
    pub fn next(self, taken: Self, units: i64) -> Self {
        let units = units.clamp(0, self.units - taken.units);
        if units == 0 {
            return Self::default();
        }
        let (cheap, dearer) = (self.minor / self.units, self.minor % self.units);
        let dearer_left = dearer - (taken.minor - taken.units * cheap);
        Self { units, minor: units * cheap + units.min(dearer_left.max(0)) }
    }

    /// What the first so many of these units are worth.
    pub fn first(self, units: i64) -> Self {
        self.next(Self::default(), units)
    }

    pub fn add(&mut self, other: Self) {
        self.units += other.units;
        self.minor += other.minor;
    }
}

/// Each line's share of the total, in the order of the lines. They add up to exactly the total.
pub fn of_lines(lines: &[PricedLine], total_minor: i64) -> anyhow::Result<Vec<Share>> {
    let weights = weights(lines)?;
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    anyhow::ensure!(sum > 0 && total_minor >= 0, "an order without units, or of less than nothing");
    let exact = |weight: i64| i128::from(total_minor) * i128::from(weight);
    let mut minors: Vec<i128> = weights.iter().map(|weight| exact(*weight) / sum).collect();
    let left = i128::from(total_minor) - minors.iter().sum::<i128>();
    let mut by_remainder: Vec<usize> = (0..lines.len()).collect();
    by_remainder.sort_by_key(|&line| std::cmp::Reverse(exact(weights[line]) % sum));
    for (line, _) in by_remainder.into_iter().zip(0..left) {
        minors[line] += 1;
    }
    let share = |(line, minor): (&PricedLine, i128)| -> anyhow::Result<Share> {
        Ok(Share { units: line.quantity, minor: i64::try_from(minor).context("a line costs more than its order")? })
    };
    lines.iter().zip(minors).map(share).collect()
}

/// What each line costs; where nothing costs anything, how much it is.
fn weights(lines: &[PricedLine]) -> anyhow::Result<Vec<i64>> {
    let amount = |line: &PricedLine| {
        let amount = line.unit_price_minor.checked_mul(line.quantity).filter(|amount| *amount >= 0);
        amount.with_context(|| format!("the amount of line {} makes no sense", line.line))
    };
    let amounts: Vec<i64> = lines.iter().map(amount).collect::<anyhow::Result<_>>()?;
    match amounts.iter().any(|amount| *amount > 0) {
        true => Ok(amounts),
        false => Ok(lines.iter().map(|line| line.quantity).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(name: usize, quantity: i64, unit_price_minor: i64) -> PricedLine {
        let name = format!("L{name}");
        PricedLine { line: name.clone(), sku: name, title: "Cup".to_owned(), quantity, unit_price_minor }
    }

    fn lines(parts: &[(i64, i64)]) -> Vec<PricedLine> {
        parts.iter().enumerate().map(|(name, (quantity, price))| line(name, *quantity, *price)).collect()
    }

    fn minors(parts: &[(i64, i64)], total: i64) -> Vec<i64> {
        of_lines(&lines(parts), total).expect("shares").into_iter().map(|share| share.minor).collect()
    }

    #[test]
    fn a_total_is_shared_by_what_lines_cost_and_the_largest_remainders_get_what_is_left() {
        assert_eq!(minors(&[(2, 617), (1, 100)], 1334), [1234, 100], "nothing off: each line's own amount");
        assert_eq!(minors(&[(1, 100), (1, 100), (1, 100)], 100), [34, 33, 33], "among equals the first");
        assert_eq!(minors(&[(1, 1), (1, 5), (1, 2)], 10), [1, 6, 3], "1.25, 6.25, 2.5");
        assert_eq!(minors(&[(1, 0), (3, 10)], 31), [0, 31], "what was free is worth nothing");
        assert_eq!(minors(&[(1, 0), (2, 0)], 30), [10, 20], "all free, and paid for all the same");
        assert!(of_lines(&[], 0).is_err() && of_lines(&lines(&[(1, -1)]), 0).is_err());
    }

    #[test]
    fn the_dearer_units_of_a_line_go_first_and_come_free_again() {
        let line = Share { units: 3, minor: 100 };
        let one = line.first(1);
        assert_eq!(one, Share { units: 1, minor: 34 });
        assert_eq!(line.next(one, 1), Share { units: 1, minor: 33 });
        assert_eq!(line.next(one, 9), Share { units: 2, minor: 66 }, "no more than are left");
        assert_eq!(line.next(line, 1), Share::default());
        // Two were announced, one comes: the one that is left is worth its own.
        let announced = line.first(2);
        assert_eq!((announced.minor, announced.first(1).minor), (67, 34));
        assert_eq!(line.next(announced.first(1), 2).minor, 66);
    }

    proptest! {
        /// Returns of random parts, some of which come only in part or not at all, and all the rest in the end.
        #[test]
        fn whatever_comes_back_in_whatever_parts_all_of_it_is_worth_exactly_the_total(
            parts in prop::collection::vec((1_i64..40, 0_i64..5_000), 1..6),
            total in 0_i64..1_000_000,
            tries in prop::collection::vec((0_usize..6, 1_i64..15, 0_i64..15), 0..60),
        ) {
            let lines = lines(&parts);
            let shares = of_lines(&lines, total).expect("shares");
            prop_assert_eq!(shares.iter().map(|share| share.minor).sum::<i64>(), total);
            let mut taken = vec![Share::default(); lines.len()];
            for (line, wanted, arrives) in tries {
                let line = line % lines.len();
                let announced = shares[line].next(taken[line], wanted);
                let arrived = announced.first(arrives);
                prop_assert!(arrived.units <= announced.units && arrived.minor <= announced.minor);
                taken[line].add(arrived);
                prop_assert!(taken[line].minor <= shares[line].minor);
            }
            for (share, taken) in shares.iter().zip(&mut taken) {
                // One unit at a time: the worst for rounding.
                while taken.units < share.units {
                    taken.add(share.next(*taken, 1));
                }
                prop_assert_eq!(*taken, *share);
            }
        }

        /// Two returns are announced at once, and either may come to nothing.
        #[test]
        fn a_return_that_comes_to_nothing_leaves_its_units_worth_what_they_were(
            units in 1_i64..30, minor in 0_i64..10_000, first in 1_i64..30, second in 1_i64..30,
        ) {
            let line = Share { units, minor };
            let one = line.first(first);
            let two = line.next(one, second);
            // The first is called off; all the rest comes back after the second.
            let rest = line.next(two, units);
            prop_assert_eq!((two.units + rest.units, two.minor + rest.minor), (units, minor));
        }
    }
}
