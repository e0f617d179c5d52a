//! Why a partner's callback is believed: a header `t=<unix seconds>,v1=<hex>`, an HMAC-SHA256 over `<t>.<body>` under a
//! key that both sides share.
//!
//! The time is signed along, so that a callback overheard once cannot be sent again for ever. Several `v1` may stand in
//! one header, which is how a partner changes its key.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;

use crate::secret::{Secret, hex};

/// Wide enough for queues and clocks on the way, as the industry has it.
const TOLERANCE_SECONDS: u64 = 300;

/// Why a signature is not accepted; worded for whoever connects a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("The signature must have the form t=<unix seconds>,v1=<hex>.")]
    Malformed,
    #[error("The signature is older or newer than five minutes.")]
    OutOfTime,
    #[error("The signature does not match the body.")]
    Mismatch,
}

/// The key that this deployment and one partner share, as a text of hexadecimal digits; its `Debug` shows nothing.
#[derive(Clone)]
pub struct CallbackKey(String);

impl std::fmt::Debug for CallbackKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallbackKey(…)")
    }
}

impl CallbackKey {
    /// The key shared with this partner; each partner has another.
    pub fn shared_with(partner: &str, secret: &Secret) -> Self {
        Self(hex(&secret.mac(&format!("{partner}-callback"), &[])))
    }

    /// The header for a body that is sent now.
    pub fn sign(&self, body: &[u8], now: OffsetDateTime) -> String {
        let signed_at = now.unix_timestamp().to_string();
        format!("t={signed_at},v1={}", self.mac(&signed_at, body))
    }

    /// Checks a header against the body as it came, byte for byte.
    pub fn verify(&self, header: &str, body: &[u8], now: OffsetDateTime) -> Result<(), SignatureError> {
        let mut parts = header.split(',').map(str::trim);
        let signed_at = parts.next().and_then(|t| t.strip_prefix("t=")).ok_or(SignatureError::Malformed)?;
        let seconds: i64 = signed_at.parse().map_err(|_| SignatureError::Malformed)?;
        let given: Vec<&str> = parts.filter_map(|part| part.strip_prefix("v1=")).collect();
        if given.is_empty() {
            return Err(SignatureError::Malformed);
        }
        if now.unix_timestamp().abs_diff(seconds) > TOLERANCE_SECONDS {
            return Err(SignatureError::OutOfTime);
        }
        let expected = self.mac(signed_at, body);
        let matches = given.iter().any(|given| bool::from(expected.as_bytes().ct_eq(given.as_bytes())));
        if matches { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    fn mac(&self, signed_at: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(signed_at.as_bytes());
        mac.update(b".");
        mac.update(body);
        hex(&mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector that Stripe publishes: its key, its body, when it was signed, and the signature.
    const KEY: &str = "whsec_abc";
    const BODY: &[u8] = br#"{"id":"evt_1","object":"event","type":"x"}"#;
    const SIGNED_AT: i64 = 1_700_000_000;
    const V1: &str = "5ef6904438eb4c6269b254e751e7d64a8a82cd7e445000a54b52c18f9667f2ba";

    fn key(text: &str) -> CallbackKey {
        CallbackKey(text.to_owned())
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).expect("a time")
    }

    #[test]
    fn a_signature_is_the_one_that_stripe_publishes() {
        assert_eq!(key(KEY).sign(BODY, at(SIGNED_AT)), format!("t={SIGNED_AT},v1={V1}"));
    }

    #[test]
    fn only_this_body_under_this_key_at_about_this_time_is_believed() {
        let header = format!("t={SIGNED_AT},v1=00,v1={V1}");
        for seconds in [-300, 0, 300] {
            assert_eq!(key(KEY).verify(&header, BODY, at(SIGNED_AT + seconds)), Ok(()), "{seconds}");
        }
        for seconds in [-301, 301] {
            assert_eq!(key(KEY).verify(&header, BODY, at(SIGNED_AT + seconds)), Err(SignatureError::OutOfTime));
        }
        assert_eq!(key(KEY).verify(&header, b"{ }", at(SIGNED_AT)), Err(SignatureError::Mismatch));
        assert_eq!(key("other").verify(&header, BODY, at(SIGNED_AT)), Err(SignatureError::Mismatch));
        let moved = format!("t={},v1={V1}", SIGNED_AT + 1);
        assert_eq!(key(KEY).verify(&moved, BODY, at(SIGNED_AT)), Err(SignatureError::Mismatch));
    }

    #[test]
    fn anything_else_is_malformed() {
        for header in ["", "t=1", "v1=00", "t=x,v1=00", "v1=00,t=1", "t=1700000000"] {
            assert_eq!(key("key").verify(header, b"", at(SIGNED_AT)), Err(SignatureError::Malformed), "{header}");
        }
        let ancient = format!("t={},v1=00", i64::MIN);
        assert_eq!(key("key").verify(&ancient, b"", at(SIGNED_AT)), Err(SignatureError::OutOfTime));
    }
}
