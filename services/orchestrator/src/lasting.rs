//! Which errors would come again for ever, because of what was to be written or read: those of the database, but not a lost race.

use makegood_messaging::lasting;

use crate::driver::LostEveryRace;

/// Whether doing the same once more would fail once more, so that what causes it must be taken out of its batch.
pub(crate) fn is_lasting(error: &anyhow::Error) -> bool {
    !error.is::<LostEveryRace>() && lasting::is_lasting(error)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_race_that_was_lost_may_be_won_the_next_time() {
        assert!(!is_lasting(&anyhow!(LostEveryRace(3)).context("moving sagas")));
        assert!(is_lasting(&anyhow!("a definition that is not stored").context("loading sagas")));
    }
}
