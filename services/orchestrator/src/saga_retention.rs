//! How long sagas that have ended are kept, and which ids are past that time.

use std::{fmt, str::FromStr};

use makegood_chassis::problem::Problem;

/// A hundred years: longer than anybody keeps books.
const MAX_DAYS: u16 = 36_500;

/// `MAKEGOOD_SAGA_RETENTION`: whole days, because they go by the day, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SagaRetention {
    Days(u16),
    Forever,
}

impl Default for SagaRetention {
    /// A quarter: long enough for a card holder's dispute, and what 100 days of tables cost is in docs/performance.md.
    fn default() -> Self {
        Self::Days(90)
    }
}

impl SagaRetention {
    pub(crate) const fn days(self) -> Option<u16> {
        match self {
            Self::Days(days) => Some(days),
            Self::Forever => None,
        }
    }

    /// 404 for a saga of which there is nothing, and how long there would be something.
    pub(crate) fn no_saga(self, id: &str) -> Problem {
        let mut problem = Problem::not_found("saga", id);
        if let Self::Days(_) = self {
            problem.detail.push_str(&format!(" Sagas that have ended are kept for {self}."));
        }
        problem
    }
}

impl fmt::Display for SagaRetention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(1) => f.write_str("1 day"),
            Self::Days(days) => write!(f, "{days} days"),
            Self::Forever => f.write_str("ever"),
        }
    }
}

impl FromStr for SagaRetention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<u16>() {
            Ok(days) if (1..=MAX_DAYS).contains(&days) => Ok(Self::Days(days)),
            _ if text == "forever" => Ok(Self::Forever),
            _ => Err(format!("write a number of days from 1 to {MAX_DAYS}, or `forever`")),
        }
    }
}

/// Whether an id is so old that its saga may have ended and gone, in a statement that joins `saga_retention` as `kept`.
///
/// The time in a UUID of version 7 says so. Another UUID has no time: it can be gone only if it happens to look like a day
/// that had a table.
macro_rules! is_past {
    ($id:literal) => {
        concat!(
            "(",
            $id,
            " < kept.kept_since and (",
            $id,
            " >= kept.began or uuid_extract_version(",
            $id,
            ") is not distinct from 7))"
        )
    };
}
pub(crate) use is_past;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_or_for_ever_and_nothing_else() {
        assert_eq!("1".parse(), Ok(SagaRetention::Days(1)));
        assert_eq!("36500".parse(), Ok(SagaRetention::Days(36_500)));
        assert_eq!("forever".parse(), Ok(SagaRetention::Forever));
        for text in ["0", "-1", "36501", "90d", "", "Forever"] {
            assert!(text.parse::<SagaRetention>().is_err(), "{text}");
        }
    }

    #[test]
    fn who_asks_for_a_saga_that_is_gone_is_told_how_long_they_are_kept() {
        let detail = |retention: SagaRetention| retention.no_saga("sga_1").detail;
        assert_eq!(
            detail(SagaRetention::Days(90)),
            "There is no saga `sga_1`. Sagas that have ended are kept for 90 days."
        );
        assert_eq!(
            detail(SagaRetention::Days(1)),
            "There is no saga `sga_1`. Sagas that have ended are kept for 1 day."
        );
        assert_eq!(detail(SagaRetention::Forever), "There is no saga `sga_1`.");
    }
}
