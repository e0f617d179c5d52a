//! Proves that a callback comes from the provider: `Provider-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use makegood_chassis::secret::{Secret, hex};
use sha2::Sha256;
use time::OffsetDateTime;

/// How far a signature's time may be from ours, in either direction: past it, a copy could be played back for ever.
const TOLERANCE_SECONDS: i64 = 300;

/// The key that the provider signs with: shared as a text of hexadecimal digits.
#[derive(Clone)]
pub(crate) struct CallbackKey(String);

impl CallbackKey {
    pub(crate) fn derive(secret: &Secret) -> Self {
        Self(hex(&secret.mac("provider-callback", &[])))
    }

    /// Whether the header is a fresh signature of the body, as it was sent.
    pub(crate) fn verifies(&self, header: &str, body: &[u8], now: OffsetDateTime) -> bool {
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let Some(signed_at) = parts().find_map(|(name, value)| (name == "t").then(|| value.parse::<i64>().ok())?)
        else {
            return false;
        };
        if now.unix_timestamp().abs_diff(signed_at) > TOLERANCE_SECONDS.unsigned_abs() {
            return false;
        }
        let signatures = parts().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| from_hex(value));
        signatures.into_iter().any(|signature| self.mac(signed_at, body).verify_slice(&signature).is_ok())
    }

    fn mac(&self, signed_at: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(format!("{signed_at}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl std::fmt::Debug for CallbackKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallbackKey(…)")
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_published_vector_verifies_and_nothing_near_it_does() {
        let key = CallbackKey("whsec_abc".to_owned());
        let body = br#"{"id":"evt_1","object":"event","type":"x"}"#;
        let v1 = "5ef6904438eb4c6269b254e751e7d64a8a82cd7e445000a54b52c18f9667f2ba";
        let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(1_700_000_000 + seconds).expect("a time");
        let header = format!("t=1700000000,v1=00,v1={v1}");
        assert!(
            key.verifies(&header, body, at(0))
                && key.verifies(&header, body, at(300))
                && key.verifies(&header, body, at(-300))
        );
        assert!(!key.verifies(&header, body, at(301)) && !key.verifies(&header, body, at(-301)));
        assert!(!key.verifies(&header, b"{}", at(0)));
        for header in [
            format!("t=1700000001,v1={v1}"),
            format!("v1={v1}"),
            "t=1700000000".to_owned(),
            format!("t=x,v1={v1}"),
            String::new(),
        ] {
            assert!(!key.verifies(&header, body, at(0)), "{header}");
        }
        assert!(!CallbackKey("other".to_owned()).verifies(&format!("t=1700000000,v1={v1}"), body, at(0)));
    }
}
