//! What is wrong with a value, said for whoever sent it: a deserializer's messages name types of Rust, and quote what
//! was sent. What may be a card number is not repeated, wherever in a request it stood.

/// What serde calls the kinds of values, and what JSON calls them.
const KINDS: [(&str, &str); 8] = [
    ("invalid type: map", "invalid type: object"),
    ("invalid type: sequence", "invalid type: array"),
    ("invalid type: floating point", "invalid type: number"),
    ("expected a sequence", "expected an array"),
    ("expected a map", "expected an object"),
    ("expected i64", "expected a whole number"),
    ("expected u64", "expected a whole number of 0 or more"),
    ("expected u32", "expected a whole number of 0 or more"),
];

/// Before the name of a type of ours, which says nothing to a caller.
const STRUCT: &str = "expected struct ";

/// As many digits as card numbers have.
const CARD_NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// The message without line and column, which are members of their own.
pub(super) fn worded(told: &str) -> String {
    let told = told.rsplit_once(" at line ").map_or(told, |(told, _)| told);
    let mut message = masked(told);
    for (serde, json) in KINDS {
        message = message.replace(serde, json);
    }
    if let Some((before, name)) = message.split_once(STRUCT) {
        let after = name.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        message = format!("{before}expected an object{after}");
    }
    message
}

/// With `(digits)` for what may be a card number and is no part of a longer word, such as an id.
pub(super) fn masked(text: &str) -> String {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let end = grouped_digits(rest);
        let stands_alone = !shown.ends_with(is_word) && !rest[end..].starts_with(is_word);
        if end > 0 && stands_alone && may_be_card_number(&rest[..end]) {
            shown.push_str("(digits)");
        } else {
            shown.push_str(&rest[..end.max(letter.len_utf8())]);
        }
        rest = &rest[end.max(letter.len_utf8())..];
    }
    shown
}

/// How long the digits are that the text begins with, with one space or hyphen between two of them.
fn grouped_digits(text: &str) -> usize {
    let mut end = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => end = at + 1,
            b' ' | b'-' if end == at && at > 0 => {}
            _ => break,
        }
    }
    end
}

fn may_be_card_number(grouped: &str) -> bool {
    let whole: String = grouped.chars().filter(char::is_ascii_digit).collect();
    std::iter::once(whole.as_str())
        .chain(grouped.split([' ', '-']))
        .any(|digits| CARD_NUMBER_DIGITS.contains(&digits.len()) && luhn_sum(digits).is_multiple_of(10))
}

/// ISO/IEC 7812-1: of each second digit from the right, the sum of the digits of its double.
fn luhn_sum(digits: &str) -> u32 {
    let digits = digits.bytes().rev().map(|byte| u32::from(byte - b'0'));
    digits.enumerate().map(|(place, digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_speak_of_json_and_not_of_rust() {
        for (told, said) in [
            (
                "invalid type: floating point `1.5`, expected struct MoneyJson at line 1 column 80",
                "invalid type: number `1.5`, expected an object",
            ),
            ("invalid type: string \"1\", expected i64", "invalid type: string \"1\", expected a whole number"),
            ("invalid type: map, expected a sequence at line 1 column 29", "invalid type: object, expected an array"),
            ("unknown field `x`, expected `reason`", "unknown field `x`, expected `reason`"),
        ] {
            assert_eq!(worded(told), said);
        }
    }

    #[test]
    fn what_may_be_a_card_number_is_not_repeated() {
        for sent in ["4242424242424242", "4242 4242 4242 4242", "378282-246310005", "12 4242424242424242"] {
            let told = format!("unknown field `{sent}`, expected `reason`");
            assert_eq!(worded(&told), "unknown field `(digits)`, expected `reason`");
        }
        for sent in [
            "ord_0000000000000000",
            "85123",
            "2026-11-24",
            "at most 9223372036854775807 units",
            "4242424242424242a",
            "é4",
        ] {
            assert_eq!(masked(sent), sent);
        }
    }
}
