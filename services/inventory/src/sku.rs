//! What a SKU and a warehouse's code look like. Whatever has another shape is refused at the door, so that no
//! control character or endless text ever reaches a statement.

/// A stock keeping unit: 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub(crate) fn is_sku(text: &str) -> bool {
    is_code_of_at_most(text, 64)
}

/// A warehouse's code: 1 to 32 of the same characters.
pub(crate) fn is_warehouse_code(text: &str) -> bool {
    is_code_of_at_most(text, 32)
}

fn is_code_of_at_most(text: &str, length: usize) -> bool {
    (1..=length).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_slashes_controls_and_endless_texts_are_no_skus() {
        for text in ["A", "85123A", "tea.cup_2-b", &"x".repeat(64)] {
            assert!(is_sku(text), "{text}");
        }
        for text in ["", "a b", "a/b", "a\0", "é", "a\n", &"x".repeat(65)] {
            assert!(!is_sku(text), "{text:?}");
        }
    }
}
