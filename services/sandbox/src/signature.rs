//! Signs callbacks as providers do: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`, anew for each attempt.

use hmac::{Hmac, KeyInit as _, Mac as _};
use makegood_chassis::secret::{Secret, hex};
use sha2::Sha256;
use time::OffsetDateTime;

/// The key shared with the receiver, as a text of hexadecimal digits.
#[derive(Clone)]
pub(crate) struct SigningKey(String);

impl SigningKey {
    /// The card provider's.
    pub(crate) fn of_provider(secret: &Secret) -> Self {
        Self(hex(&secret.mac("provider-callback", &[])))
    }

    /// The carrier's.
    pub(crate) fn of_carrier(secret: &Secret) -> Self {
        Self(hex(&secret.mac("carrier-callback", &[])))
    }

    /// The header for a body that is sent now.
    pub(crate) fn sign(&self, body: &[u8], now: OffsetDateTime) -> String {
        let signed_at = now.unix_timestamp();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(format!("{signed_at}.").as_bytes());
        mac.update(body);
        format!("t={signed_at},v1={}", hex(&mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_stripe_publishes() {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).expect("a time");
        let signed = SigningKey("whsec_abc".to_owned()).sign(br#"{"id":"evt_1","object":"event","type":"x"}"#, now);
        assert_eq!(signed, "t=1700000000,v1=5ef6904438eb4c6269b254e751e7d64a8a82cd7e445000a54b52c18f9667f2ba");
    }
}
