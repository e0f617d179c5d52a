//! What happened in a rehearsal, line by line.

use std::time::Duration;

use makegood_contracts::{command::Direction, reply::Outcome};
use serde_json::Value;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Since the saga began.
    pub at: Duration,
    pub what: String,
    /// What went along with a command.
    pub input: Option<Value>,
}

impl std::fmt::Display for Line {
    /// `00:15:00.000  what`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.at.as_millis();
        let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}.{:03}  {}", millis % 1000, self.what)
    }
}

/// `step: refused: code`
pub(super) fn answered(step: &str, direction: Direction, outcome: &Outcome) -> String {
    let what = match outcome {
        Outcome::Done { output: Value::Null } => "done".to_owned(),
        Outcome::Done { output } => format!("done: {output}"),
        Outcome::Refused { code, detail } if detail.is_empty() => format!("refused: {code}"),
        Outcome::Refused { code, detail } => format!("refused: {code}: {detail}"),
        Outcome::Pending { reason, .. } => format!("pending: {reason}"),
        Outcome::Failed { detail, retryable: true } => format!("failed: {detail}"),
        Outcome::Failed { detail, retryable: false } => format!("failed for good: {detail}"),
    };
    match direction {
        Direction::Do => format!("    {step}: {what}"),
        Direction::Undo => format!("    {step}, undo: {what}"),
    }
}
