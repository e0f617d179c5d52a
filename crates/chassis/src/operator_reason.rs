//! Why an operator does something: whoever reads the audit wants to know.

use makegood_contracts::plain_text::is_plain_text;

use crate::problem::Problem;

/// Longest reason that is kept.
const MAX_REASON: usize = 1_000;

/// The reason as it is kept, or 422.
pub fn checked_reason(reason: &str) -> Result<String, Problem> {
    let reason = reason.trim();
    if !is_plain_text(reason, MAX_REASON) {
        let detail = format!("say why, in 1 to {MAX_REASON} characters, none of them a control character");
        return Err(Problem::invalid("/reason", detail));
    }
    Ok(reason.to_owned())
}
