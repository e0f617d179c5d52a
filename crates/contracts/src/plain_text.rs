//! What people write into fields: texts that can be stored, shown and logged as they are.

/// Whether it has 1 to `max_chars` characters, none of them a control character (nor, therefore, a NUL).
pub fn is_plain_text(text: &str, max_chars: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max_chars && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_endless_and_unprintable_texts_are_not_plain() {
        for text in ["a", "é ü", "日本語日本"] {
            assert!(is_plain_text(text, 5), "{text}");
        }
        for text in ["", "abcdef", "a\0", "a\n", "\u{9f}"] {
            assert!(!is_plain_text(text, 5), "{text:?}");
        }
    }
}
