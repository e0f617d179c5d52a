//! The token of a payment method: the only thing about a card that this service ever sees.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// A token such as `pm_card_visa`. What is no token is refused without being repeated anywhere: it may be a card number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentMethod(String);

/// Said instead of the value, whatever it was.
const REFUSAL: &str = "expected a payment method's token: `pm_` and 1 to 100 letters, digits or underscores";
const MAX_TOKEN_LENGTH: usize = 100;

impl PaymentMethod {
    fn parse(text: String) -> Option<Self> {
        let token = text.strip_prefix("pm_")?;
        let clean = (1..=MAX_TOKEN_LENGTH).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !looks_like_a_card_number(token);
        clean.then_some(Self(text))
    }

    pub(crate) fn into_token(self) -> String {
        self.0
    }
}

/// The shortest card numbers there are.
const CARD_NUMBER_DIGITS_MIN: usize = 12;

/// A card number behind whatever prefix is still a card number: so many digits in a row, grouped by underscores or not.
/// No token that a provider made by chance has them.
fn looks_like_a_card_number(token: &str) -> bool {
    let ungrouped = token.replace('_', "");
    ungrouped.split(|letter: char| !letter.is_ascii_digit()).any(|digits| digits.len() >= CARD_NUMBER_DIGITS_MIN)
}

impl<'de> Deserialize<'de> for PaymentMethod {
    /// Reads any value first: the deserializer's own error for a number would quote it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer) {
            Ok(Value::String(text)) => Self::parse(text).ok_or_else(|| D::Error::custom(REFUSAL)),
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | Err(_) => {
                Err(D::Error::custom(REFUSAL))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_and_nothing_else_is_even_quoted() {
        for token in [r#""pm_card_visa""#, r#""pm_card_chargeDeclined""#, r#""pm_1MqLiJLkdIwHu7ixUEgbFdYF""#] {
            assert!(serde_json::from_str::<PaymentMethod>(token).is_ok(), "{token}");
        }
        for value in [
            r#""4242424242424242""#,
            "4242424242424242",
            r#""pm_4242424242424242""#,
            r#""pm_card_4242424242424242""#,
            r#""pm_4242_4242_4242_4242_visa""#,
            r#"{"number":"4242424242424242"}"#,
            r#"["4242424242424242"]"#,
            r#""pm_""#,
            r#""pm_a b4242424242424242""#,
            "null",
        ] {
            let error = serde_json::from_str::<PaymentMethod>(value).expect_err(value).to_string();
            assert!(!error.contains("4242"), "{value} is quoted: {error}");
        }
    }
}
