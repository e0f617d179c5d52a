//! Why an operator does something: whoever reads the audit wants to know.

use makegood_contracts::plain_text::is_plain_text;

use crate::problem::Problem;

/// Longest reason that is kept.
const MAX_REASON: usize = 1_000;

/// The reason as it is kept, or 422.
pub fn checked_reason(reason: &str) -> Result<String, Problem> {
    let reason = reason.trim();
    // Spaces of no width and a lone dash say nothing to whoever reads the audit.
    if !is_plain_text(reason, MAX_REASON) || !reason.contains(char::is_alphanumeric) {
        let detail = format!(
            "say why, in 1 to {MAX_REASON} characters, a letter or a digit among them and no control character"
        );
        return Err(Problem::invalid("/reason", detail));
    }
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something() {
        assert_eq!(checked_reason("  the carrier is back ").ok().as_deref(), Some("the carrier is back"));
        for nothing in ["", "  ", "\u{200b}", "-", "a\nb", &"x".repeat(MAX_REASON + 1)] {
            assert!(checked_reason(nothing).is_err(), "{nothing:?}");
        }
    }
}
