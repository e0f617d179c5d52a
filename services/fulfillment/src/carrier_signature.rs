//! Why a callback is believed: `Carrier-Signature: t=<unix seconds>,v1=<hex>`, an HMAC-SHA256 over `<t>.<body>`.
//!
//! The time is signed along, so that a callback overheard once cannot be sent again for ever.

use hmac::{Hmac, KeyInit, Mac};
use makegood_chassis::secret::{Secret, hex};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The header's name, in lower case as HTTP/2 wants it.
pub(crate) const HEADER: &str = "carrier-signature";

/// Wide enough for queues and clocks on the way, as the industry has it.
const TOLERANCE_SECONDS: i64 = 300;

/// Why a signature is not accepted; worded for whoever connects a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("The header Carrier-Signature must have the form t=<unix seconds>,v1=<hex>.")]
    Malformed,
    #[error("The signature is older or newer than five minutes.")]
    OutOfTime,
    #[error("The signature does not match the body.")]
    Mismatch,
}

/// The key that this deployment and its carrier share: hexadecimal text.
pub(crate) fn key(secret: &Secret) -> String {
    hex(&secret.mac("carrier-callback", &[]))
}

/// Checks a header against the body as it came, byte for byte.
pub(crate) fn verify(key: &str, header: &str, body: &[u8], now_unix: i64) -> Result<(), SignatureError> {
    let (signed_at, given) = header
        .split_once(',')
        .and_then(|(t, v1)| Some((t.trim().strip_prefix("t=")?, v1.trim().strip_prefix("v1=")?)))
        .ok_or(SignatureError::Malformed)?;
    let seconds: i64 = signed_at.parse().map_err(|_| SignatureError::Malformed)?;
    if now_unix.abs_diff(seconds) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(SignatureError::OutOfTime);
    }
    let matches = sign(key, signed_at, body).as_bytes().ct_eq(given.as_bytes());
    if bool::from(matches) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn sign(key: &str, signed_at: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(signed_at.as_bytes());
    mac.update(b".");
    mac.update(body);
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_521_600;

    fn header(signed_at: i64, body: &[u8]) -> String {
        format!("t={signed_at},v1={}", sign("key", &signed_at.to_string(), body))
    }

    #[test]
    fn only_this_body_under_this_key_at_about_this_time_is_believed() {
        let body = b"{}";
        assert_eq!(verify("key", &header(NOW, body), body, NOW), Ok(()));
        assert_eq!(verify("key", &header(NOW - 300, body), body, NOW), Ok(()));
        assert_eq!(verify("key", &header(NOW - 301, body), body, NOW), Err(SignatureError::OutOfTime));
        assert_eq!(verify("key", &header(NOW + 301, body), body, NOW), Err(SignatureError::OutOfTime));
        assert_eq!(verify("key", &header(NOW, body), b"{ }", NOW), Err(SignatureError::Mismatch));
        assert_eq!(verify("other", &header(NOW, body), body, NOW), Err(SignatureError::Mismatch));
        let moved = header(NOW - 900, body).replace(&format!("t={}", NOW - 900), &format!("t={NOW}"));
        assert_eq!(verify("key", &moved, body, NOW), Err(SignatureError::Mismatch));
    }

    #[test]
    fn anything_else_is_malformed() {
        for header in ["", "t=1", "v1=00", "t=x,v1=00", "v1=00,t=1"] {
            assert_eq!(verify("key", header, b"", NOW), Err(SignatureError::Malformed), "{header}");
        }
        assert_eq!(verify("key", &format!("t={},v1=00", i64::MIN), b"", NOW), Err(SignatureError::OutOfTime));
    }
}
