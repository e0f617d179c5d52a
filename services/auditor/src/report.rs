//! What an audit says.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

/// The outcome of all checks.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// Every check ran and found nothing.
    pub ok: bool,
    /// By the database's clock, when the audit began.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub checked_at: OffsetDateTime,
    pub checks: Vec<CheckResult>,
}

/// The outcome of one check.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CheckResult {
    /// `P1` to `P9` of the design.
    pub promise: &'static str,
    pub name: &'static str,
    /// What it is that holds, or not.
    pub says: &'static str,
    pub ok: bool,
    /// How many were found twice; capped at 10,000.
    pub violations: usize,
    /// The first of them.
    pub rows: Vec<Violation>,
    /// Why the check could not be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One thing that breaks a promise.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Violation {
    pub id: String,
    pub detail: Value,
}

impl Report {
    /// How many checks found nothing.
    pub fn holding(&self) -> usize {
        self.checks.iter().filter(|check| check.ok).count()
    }
}
