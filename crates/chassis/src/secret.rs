//! The root secret and the keys derived from it, one per purpose.

use std::sync::Arc;

use anyhow::ensure;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Shorter roots could be guessed from one known MAC.
const MIN_BYTES: usize = 32;

/// The root secret; its `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret {
    root: Arc<Hmac<Sha256>>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    pub fn new(root: &str) -> anyhow::Result<Self> {
        ensure!(
            root.len() >= MIN_BYTES,
            "the secret (MAKEGOOD_SECRET) must have at least {MIN_BYTES} bytes; it has {}",
            root.len()
        );
        Ok(Self { root: Arc::new(keyed(root.as_bytes())) })
    }

    /// HMAC-SHA256 with the key derived for `purpose`, over the parts, each length-prefixed.
    pub fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut derivation = Hmac::clone(&self.root);
        derivation.update(purpose.as_bytes());
        let mut mac = keyed(&derivation.finalize().into_bytes());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Lower-case hexadecimal digits, as hashes are written in files and derived passwords.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// 24 bytes of the system's randomness in hexadecimal: what a secret key consists of.
pub fn random_hex() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_root_is_refused_and_none_is_ever_shown() {
        assert!(Secret::new("short").is_err());
        let secret = Secret::new("0123456789abcdef0123456789abcdef").expect("long enough");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn purposes_and_the_borders_between_parts_make_a_difference() {
        let secret = Secret::new("0123456789abcdef0123456789abcdef").expect("long enough");
        let macs = [
            secret.mac("a", &[b"xy"]),
            secret.mac("b", &[b"xy"]),
            secret.mac("a", &[b"x", b"y"]),
            secret.mac("a", &[b"xy", b""]),
        ];
        for (i, one) in macs.iter().enumerate() {
            assert!(macs[i + 1..].iter().all(|other| other != one));
        }
        assert_eq!(secret.mac("a", &[b"xy"]), macs[0]);
        assert_eq!(hex(&[0x0f, 0xa0]), "0fa0");
    }
}
