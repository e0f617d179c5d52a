//! Events of the catalog, and the grammar of the names that it gives to products.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// Name of the event that carries [`ProductPriced`]; its subject is the SKU.
pub const PRODUCT_PRICED: &str = "product.priced";

/// A product exists at this price, in each currency that it is sold in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProductPriced {
    pub sku: String,
    pub title: String,
    pub prices: Vec<Money>,
    /// False once it is withdrawn from sale.
    pub active: bool,
}

/// Longest SKU: fits every shop's codes that we know of, and keeps keys of indexes small.
pub const SKU_CHARS_MAX: usize = 64;

/// Why a text is no SKU; worded for the caller of the API.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected 1 to 64 characters out of A-Z, a-z, 0-9, `.`, `_` and `-`, and neither `.` nor `..`")]
pub struct SkuError;

/// The grammar of SKUs (and of cart lines' names): what is safe in a path, a file name and a log line alike.
pub fn check_sku(text: &str) -> Result<(), SkuError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match text.len() {
        // In a path the two names of dots mean a folder, and clients resolve them before they send.
        1..=SKU_CHARS_MAX if text.bytes().all(is_allowed) && !matches!(text, "." | "..") => Ok(()),
        _ => Err(SkuError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_a_short_name_without_spaces_slashes_or_anything_exotic() {
        for text in ["85123A", "a", "...", "B2B_0.5-kg", &"x".repeat(64)] {
            assert_eq!(check_sku(text), Ok(()), "{text}");
        }
        for text in ["", ".", "..", "a b", "a/b", "é", "a\0", "a\n", &"x".repeat(65)] {
            assert_eq!(check_sku(text), Err(SkuError), "{text:?}");
        }
    }
}
