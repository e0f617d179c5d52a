//! What a check found, in bounded memory, and what of it is found again.
//!
//! Two databases cannot be read at one instant. A saga that moves between two reads can look broken; it does not look so
//! a moment later. So a violation counts only if the same id was found by two runs of the check.

use std::collections::HashSet;

use crate::report::Violation;

/// Beyond it a check says "10,000" and the promise is broken all the same.
const KEPT_IDS: usize = 10_000;
/// As many as a person reads.
pub(crate) const KEPT_ROWS: usize = 20;

/// The ids that one run found, and the first rows.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    only: Option<HashSet<String>>,
    ids: HashSet<String>,
    rows: Vec<Violation>,
}

impl Suspects {
    /// For the second run: only what the first one found counts.
    pub(crate) fn again(first: Self) -> Self {
        Self { only: Some(first.ids), ..Self::default() }
    }

    pub(crate) fn add(&mut self, violation: Violation) {
        let counts = self.only.as_ref().is_none_or(|only| only.contains(&violation.id));
        if !counts || self.ids.len() >= KEPT_IDS {
            return;
        }
        self.ids.insert(violation.id.clone());
        if self.rows.len() < KEPT_ROWS {
            self.rows.push(violation);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many, and the first of them.
    pub(crate) fn found(self) -> (usize, Vec<Violation>) {
        (self.ids.len(), self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_two_runs_find_counts() {
        let violation = |id: &str| Violation { id: id.to_owned(), detail: serde_json::Value::Null };
        let mut first = Suspects::default();
        for id in ["moving", "broken"] {
            first.add(violation(id));
        }
        let mut second = Suspects::again(first);
        for id in ["broken", "new"] {
            second.add(violation(id));
        }
        assert_eq!(second.found(), (1, vec![violation("broken")]));
    }
}
