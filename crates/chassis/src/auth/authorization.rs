//! The `Authorization` header: `Bearer <key>`, or the key as the user of `Basic`, which is how payment clients send it.

use http::{HeaderMap, header};

/// The presented key, not yet known to be valid.
pub(super) fn api_key(headers: &HeaderMap) -> Option<String> {
    let (scheme, credentials) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(decode_base64(credentials.trim())?).ok()?;
    let (user, _password) = decoded.split_once(':')?;
    Some(user.to_owned())
}

/// RFC 4648 base64, padded or not; none for any other character.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut bit_count) = (0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push((bits >> bit_count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_in(authorization: &str) -> Option<String> {
        api_key(&HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().expect("a header"))]))
    }

    #[test]
    fn bearer_and_basic_carry_the_same_key() {
        assert_eq!(key_in("Bearer sk_test_1").as_deref(), Some("sk_test_1"));
        assert_eq!(key_in("bearer  sk_test_1").as_deref(), Some("sk_test_1"));
        assert_eq!(key_in("Basic c2tfdGVzdF8xOg==").as_deref(), Some("sk_test_1"));
        assert_eq!(key_in("Basic c2tfdGVzdF8xOg").as_deref(), Some("sk_test_1"));
    }

    #[test]
    fn other_schemes_and_damaged_credentials_carry_none() {
        for authorization in ["Bearer", "Digest sk_test_1", "Basic !!!", "Basic c2tfdGVzdF8x"] {
            assert_eq!(key_in(authorization), None, "{authorization}");
        }
    }
}
