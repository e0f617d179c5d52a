//! What people write into fields: texts that can be stored, shown and logged as they are.

/// Whether it has 1 to `max_chars` characters, all of them printable.
pub fn is_plain_text(text: &str, max_chars: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max_chars && text.chars().all(is_printable)
}

/// No control character (nor, therefore, a NUL), no line separator, and nothing that turns the direction of the text
/// around it: by those a text looks like another one than it is.
pub fn is_printable(letter: char) -> bool {
    !letter.is_control() && !matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether the escape `\u0000` stands anywhere in JSON: PostgreSQL's `text` and `jsonb` cannot hold it. A backslash before it that
/// is itself escaped makes it plain text.
pub fn escapes_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        // A backslash that nothing follows ends no JSON text, and escapes nothing.
        let Some(behind) = rest.get(at + 2..) else { return false };
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_endless_and_unprintable_texts_are_not_plain() {
        for text in ["a", "é ü", "日本語日本", "שלום"] {
            assert!(is_plain_text(text, 5), "{text}");
        }
        for text in ["", "abcdef", "a\0", "a\n", "\u{9f}", "a\u{202e}b", "a\u{2028}", "\u{2066}a"] {
            assert!(!is_plain_text(text, 5), "{text:?}");
        }
    }

    #[test]
    fn an_escaped_nul_is_seen_and_a_backslash_before_u0000_is_none() {
        for json in [r#""\u0000""#, r#"["a\u0000b"]"#, r#"{"\\\u0000":1}"#] {
            assert!(escapes_nul(json.as_bytes()), "{json}");
        }
        for json in [r#""a""#, r#""\\u0000""#, r#""u0000""#, r#""\n""#, "\\"] {
            assert!(!escapes_nul(json.as_bytes()), "{json}");
        }
    }
}
