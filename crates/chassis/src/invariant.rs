//! A promise as a query: it returns the rows that break it, and nothing when all is well.

/// One check on one service's database.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// `P1` to `P9` of the design.
    pub promise: &'static str,
    /// snake_case, stable.
    pub name: &'static str,
    /// One sentence for people.
    pub says: &'static str,
    /// Returns `(id text, detail jsonb)` per violation.
    pub sql: &'static str,
}
