//! What a warehouse's code looks like.

use makegood_contracts::catalog::check_sku;

/// Short enough to be read out over the phone.
const CHARS_MAX: usize = 32;

/// 1 to 32 of the characters of a SKU, so that `<sku>/<warehouse>` can always be taken apart again.
pub(crate) fn is_warehouse_code(text: &str) -> bool {
    text.len() <= CHARS_MAX && check_sku(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_short_name_without_spaces_or_slashes() {
        assert!(is_warehouse_code("near-2") && is_warehouse_code(&"x".repeat(32)));
        for text in ["", "n/a", "a b", "a\0", &"x".repeat(33)] {
            assert!(!is_warehouse_code(text), "{text:?}");
        }
    }
}
