//! What of a message may be shown: its shape, its ids and its amounts, and nothing that is somebody's own.
//!
//! A message that could not be handled may be anything, so it is masked by the names of its fields and by what a text looks
//! like, whatever field it stands in.

use serde_json::Value;

const MASKED: &str = "(masked)";
/// A field whose name contains one of these is masked with all that is in it.
const PRIVATE_NAMES: [&str; 15] = [
    "address",
    "card",
    "customer",
    "cvc",
    "email",
    "iban",
    "line1",
    "line2",
    "password",
    "payment_method",
    "phone",
    "postal",
    "recipient",
    "secret",
    "token",
];
/// Keys of ours, tokens of payment methods.
const PRIVATE_PREFIXES: [&str; 6] = ["ak_", "pk_", "sk_", "pm_", "tok_", "Bearer"];
/// Digits of a card number.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// The value without what is somebody's own.
pub(super) fn masked(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| match is_private_name(&name) {
                    true => (name, Value::from(MASKED)),
                    false => (name, masked(value)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(masked).collect()),
        Value::String(text) => Value::String(masked_text(&text)),
        Value::Number(number) => {
            match CARD_DIGITS.contains(&number.to_string().len()) && is_card(&number.to_string()) {
                true => Value::from(MASKED),
                false => Value::Number(number),
            }
        }
        Value::Bool(_) | Value::Null => value,
    }
}

/// A text whose words look like somebody's own are masked; errors repeat what they stumbled over.
pub(super) fn masked_text(text: &str) -> String {
    if is_card(text) {
        return MASKED.to_owned();
    }
    let mut masked = String::with_capacity(text.len());
    let mut word = String::new();
    for letter in text.chars() {
        if letter.is_whitespace() || "\"'`()[]{}<>,;=".contains(letter) {
            masked.push_str(masked_word(&word));
            word.clear();
            masked.push(letter);
        } else {
            word.push(letter);
        }
    }
    masked.push_str(masked_word(&word));
    masked
}

fn masked_word(word: &str) -> &str {
    let is_private =
        word.contains('@') || PRIVATE_PREFIXES.iter().any(|prefix| word.starts_with(prefix)) || is_card(word);
    if is_private { MASKED } else { word }
}

fn is_private_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    PRIVATE_NAMES.iter().any(|private| name.contains(private))
}

/// Digits with nothing but spaces and hyphens between them, as many as a card has, with the check digit that cards have.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|letter| letter.to_digit(10)).collect();
    let only_digits = text.chars().all(|letter| letter.is_ascii_digit() || letter == ' ' || letter == '-');
    if !only_digits || !CARD_DIGITS.contains(&digits.len()) {
        return false;
    }
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_somebodys_own_is_masked_wherever_it_stands() {
        let message = json!([{
            "key": {"saga_id": "0198f0c2-a3b4-7c5d-8e9f-0a1b2c3d4e5f", "step": "authorize_payment", "direction": "do"},
            "payload": {
                "email": "ann@example.com", "shippingAddress": {"line1": "1 High Street"}, "payment_method": "pm_card_visa",
                "amount_minor": 1250, "order_id": "ord_1", "note": "call ann@example.com, card 4242424242424242",
                "number": 4_242_424_242_424_242_u64, "lines": [{"sku": "SOAP"}], "client_secret": "x", "spaced": "4242 4242 4242 4242",
            },
        }]);
        assert_eq!(
            masked(message),
            json!([{
                "key": {"saga_id": "0198f0c2-a3b4-7c5d-8e9f-0a1b2c3d4e5f", "step": "authorize_payment", "direction": "do"},
                "payload": {
                    "email": "(masked)", "shippingAddress": "(masked)", "payment_method": "(masked)",
                    "amount_minor": 1250, "order_id": "ord_1", "note": "call (masked), card (masked)",
                    "number": "(masked)", "lines": [{"sku": "SOAP"}], "client_secret": "(masked)", "spaced": "(masked)",
                },
            }])
        );
    }

    #[test]
    fn an_error_that_repeats_what_it_read_is_masked_word_by_word() {
        assert_eq!(
            masked_text("invalid type: string \"ann@example.com\", expected u32 (pm_card_visa) at 1764288000123"),
            "invalid type: string \"(masked)\", expected u32 ((masked)) at 1764288000123"
        );
    }
}
