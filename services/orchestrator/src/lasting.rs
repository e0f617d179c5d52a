//! Which errors would come again for ever, because of what was to be written or read, and not because the database is away.

use makegood_messaging::participant::is_transient;

use crate::driver::LostEveryRace;

/// The classes of SQLSTATE (PostgreSQL, appendix A) that hit everything alike until somebody has mended the database, such as a table or
/// a right that is missing: nothing in particular is to blame.
const HITS_ALL_ALIKE: &str = "42";

/// Whether doing the same once more would fail once more, so that what causes it must be taken out of its batch.
pub(crate) fn is_lasting(error: &anyhow::Error) -> bool {
    if error.is::<LostEveryRace>() {
        return false;
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()) {
        // A connection that has lost its place in the protocol is closed, and another one finds its own.
        Some(sqlx::Error::Protocol(_)) => false,
        Some(sqlx::Error::Database(told)) if told.code().is_some_and(|code| code.starts_with(HITS_ALL_ALIKE)) => false,
        Some(cause) => !is_transient(cause),
        // What cannot be encoded, and definitions that this build does not know.
        None => true,
    }
}

/// Puts both halves of a part that fails back, the first one last: parts are taken from the end, in order.
pub(crate) fn halve<'a, T>(parts: &mut Vec<&'a [T]>, part: &'a [T]) {
    let (first, second) = part.split_at(part.len() / 2);
    parts.extend([second, first]);
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_is_away_comes_back_and_what_cannot_be_read_stays() {
        for passing in [anyhow!(sqlx::Error::PoolTimedOut), anyhow!(LostEveryRace(3))] {
            assert!(!is_lasting(&passing.context("starting sagas")));
        }
        let unreadable = sqlx::Error::ColumnDecode { index: "event".to_owned(), source: "no event".into() };
        for lasting in [anyhow!(unreadable), anyhow!("a definition that is not stored")] {
            assert!(is_lasting(&lasting.context("loading sagas")));
        }
    }
}
