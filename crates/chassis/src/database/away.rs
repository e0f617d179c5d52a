//! Whether the database is to blame for an error, or what was asked of it.

/// The classes of SQLSTATE (PostgreSQL, appendix A) by which a server says that it cannot serve now, or that somebody else was in the way:
/// 08 connection trouble, 28 a password that is being changed, 3D a database that is not there yet, 40 serialization failure and deadlock,
/// 53 out of resources, 57 shutdown and cancelled statements, 58 trouble of its machine.
const CLASSES: [&str; 7] = ["08", "28", "3D", "40", "53", "57", "58"];

/// The same from classes that also hold what lies in the statement: 25006 a server that only reads, in the middle of a fail-over or on a
/// full disk; 25P03 a transaction that was idle for too long; 55P03 a lock that did not come.
const CODES: [&str; 3] = ["25006", "25P03", "55P03"];

/// Whether the same statement may well succeed later, on this server or on the one that follows it.
pub fn is_away(error: &sqlx::Error) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "sqlx::Error is non-exhaustive")]
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_)
        // A connection that has lost its place in the protocol is closed, and another one finds its own.
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(told) => told.code().is_some_and(|code| says_away(&code)),
        _ => false,
    }
}

fn says_away(code: &str) -> bool {
    CLASSES.iter().any(|class| code.starts_with(class)) || CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_serve_is_told_from_a_statement_that_cannot_be_done() {
        for code in ["08006", "25006", "28P01", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "58030"]
        {
            assert!(says_away(code), "{code}");
        }
        for code in ["22001", "23505", "25P02", "42703", "54000", "XX001"] {
            assert!(!says_away(code), "{code}");
        }
    }
}
