//! Which errors would come again for ever, because of what was to be written or read, and not because the database is away: their
//! cause must be taken out of its batch, or it holds up everybody else's work.

use makegood_chassis::database::is_away;

/// The class of SQLSTATE (PostgreSQL, appendix A) that hits everything alike until somebody has mended the database, such as a column of
/// the next release or a right that is missing: no command and no event is to blame, and each waits.
const HITS_ALL_ALIKE: &str = "42";

/// Whether doing the same once more would fail once more. What no database said lasts too: it cannot be encoded, or makes no sense.
pub fn is_lasting(error: &anyhow::Error) -> bool {
    match error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()) {
        Some(sqlx::Error::Database(told)) if told.code().is_some_and(|code| code.starts_with(HITS_ALL_ALIKE)) => false,
        Some(cause) => !is_away(cause),
        None => true,
    }
}

/// Puts both halves of a part that fails back, the first one last: parts are taken from the end, in order.
pub fn halve<'a, T>(parts: &mut Vec<&'a [T]>, part: &'a [T]) {
    let (first, second) = part.split_at(part.len() / 2);
    parts.extend([second, first]);
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_is_away_comes_back_and_what_cannot_be_read_stays() {
        for passing in [sqlx::Error::PoolTimedOut, sqlx::Error::Protocol("out of step".to_owned())] {
            assert!(!is_lasting(&anyhow!(passing).context("ending holds")));
        }
        let unreadable = sqlx::Error::ColumnDecode { index: "event".to_owned(), source: "no event".into() };
        for lasting in [anyhow!(unreadable), anyhow!("a definition that is not stored")] {
            assert!(is_lasting(&lasting.context("loading sagas")));
        }
    }
}
