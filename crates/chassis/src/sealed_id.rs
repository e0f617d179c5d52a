//! Ids that prove whose they are: the UUID followed by a MAC over it and the account.
//!
//! A cart's id is checked at the door of another service (order) that must not read the cart's database:
//! an unknown id, or another account's, is refused there with 404 without a look-up. Form: `crt_<32 hex><16 hex>`.

use makegood_contracts::account::Account;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::secret::{Secret, hex};

/// Hex digits of the UUID and of the seal: 64 bits, for each guess of which a request must be made.
const ID_DIGITS: usize = 32;
const SEAL_DIGITS: usize = 16;

/// Shows the id with its seal.
pub fn seal(secret: &Secret, prefix: &str, account: Account, id: Uuid) -> String {
    format!("{prefix}_{}{}", id.simple(), seal_of(secret, prefix, account, id))
}

/// The UUID if the text was sealed for this account under this prefix (constant-time comparison).
pub fn open(secret: &Secret, prefix: &str, account: Account, text: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?;
    let (id_digits, given_seal) = digits.split_at_checked(ID_DIGITS)?;
    let id = Uuid::try_parse(id_digits).ok()?;
    let right_seal = seal_of(secret, prefix, account, id);
    let equal: bool = right_seal.as_bytes().ct_eq(given_seal.as_bytes()).into();
    equal.then_some(id)
}

fn seal_of(secret: &Secret, prefix: &str, account: Account, id: Uuid) -> String {
    let mac = secret
        .mac("sealed-id", &[prefix.as_bytes(), account.id.as_bytes(), &[u8::from(account.livemode)], id.as_bytes()]);
    hex(&mac[..SEAL_DIGITS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_for_its_own_account_mode_and_prefix_only() {
        let secret = Secret::new("0123456789abcdef0123456789abcdef").expect("long enough");
        let account = Account { id: Uuid::from_u128(1), livemode: false };
        let id = Uuid::from_u128(0x0198_f0c2_a3b4_7c5d_8e9f_0a1b_2c3d_4e5f);
        let text = seal(&secret, "crt", account, id);
        assert_eq!(text.len(), "crt_".len() + 48);
        assert_eq!(open(&secret, "crt", account, &text), Some(id));
        assert_eq!(open(&secret, "crt", Account { livemode: true, ..account }, &text), None);
        assert_eq!(open(&secret, "crt", Account { id: Uuid::from_u128(2), ..account }, &text), None);
        assert_eq!(open(&secret, "ord", account, &text.replace("crt", "ord")), None);
    }

    #[test]
    fn what_was_never_sealed_does_not_open() {
        let secret = Secret::new("0123456789abcdef0123456789abcdef").expect("long enough");
        let account = Account { id: Uuid::from_u128(1), livemode: false };
        for text in [
            "",
            "crt_",
            "crt_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f",
            "crt_éééééééééééééééééééééééééééééééé",
            &format!("crt_{}", "0".repeat(48)),
        ] {
            assert_eq!(open(&secret, "crt", account, text), None, "{text}");
        }
    }
}
