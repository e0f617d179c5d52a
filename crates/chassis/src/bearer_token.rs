//! The secret that one side of a connection shows to the other in `Authorization: Bearer …`, as a setting holds it.

use std::str::FromStr;

/// Printable ASCII without spaces, as a header can carry it; its `Debug` shows nothing.
#[derive(Clone)]
pub struct BearerToken(String);

impl BearerToken {
    /// The token itself, for the header and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for BearerToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token { Ok(Self(text.to_owned())) } else { Err("a key consists of printable ASCII without spaces") }
    }
}

impl std::fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_fits_a_header_and_is_never_shown() {
        let token: BearerToken = "sk_test_1".parse().expect("a token");
        assert_eq!((token.expose(), format!("{token:?}").as_str()), ("sk_test_1", "BearerToken(…)"));
        for text in ["", "a b", "a\n", "é"] {
            assert!(text.parse::<BearerToken>().is_err(), "{text:?}");
        }
    }
}
