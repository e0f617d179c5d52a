//! What a replay and its orders are called: the same file with the same options has the same keys, on every run.

use rust_decimal::Decimal;
use sha2::{Digest as _, Sha256};

use super::{invoice::Invoice, prepare::Keys};

/// How the orders are placed, as far as it shows in their requests.
#[derive(Debug, Clone)]
pub(crate) struct Options<'a> {
    pub(crate) stock: Decimal,
    pub(crate) payment_method: &'a str,
    pub(crate) country: &'a str,
}

/// `replay:<first 12 digits of the file's hash>:<stock>`; other options than the usual ones add a digest of them,
/// since another request under an old key would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunName {
    file: String,
    run: String,
}

impl RunName {
    pub(crate) fn new(sha256: &str, options: &Options<'_>) -> Self {
        let file = format!("replay:{}", sha256.get(..12).unwrap_or(sha256));
        let mut run = format!("{file}:{}", options.stock.normalize());
        if (options.payment_method, options.country) != (super::USUAL_PAYMENT_METHOD, super::USUAL_COUNTRY) {
            let digest = Sha256::digest(format!("{}\n{}", options.payment_method, options.country));
            run.push('-');
            run.extend(digest.iter().take(4).map(|byte| format!("{byte:02x}")));
        }
        Self { file, run }
    }

    /// Begins the reference of each of its orders, and of no other run's.
    pub(crate) fn prefix(&self) -> String {
        format!("{}:", self.run)
    }

    /// What the books show for the order.
    pub(crate) fn reference(&self, invoice: &Invoice) -> String {
        format!("{}:{}:{}", self.run, invoice.number, invoice.first_line)
    }

    /// The catalog's entries depend on the file alone. The stock depends on the factor too, and other options add stock of
    /// their own, for orders of their own.
    pub(crate) fn keys(&self) -> Keys {
        Keys { products: format!("{}:products", self.file), receipts: format!("{}:receipts", self.run) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_options_have_the_same_name_and_others_have_another() {
        let usual = Options {
            stock: Decimal::new(10, 1),
            payment_method: crate::replay::USUAL_PAYMENT_METHOD,
            country: crate::replay::USUAL_COUNTRY,
        };
        let name = RunName::new("0123456789abcdef", &usual);
        assert_eq!(name.prefix(), "replay:0123456789ab:1:");
        assert_eq!(name, RunName::new("0123456789abcdef", &Options { stock: Decimal::ONE, ..usual.clone() }));
        let other = RunName::new("0123456789abcdef", &Options { payment_method: "pm_card_chargeDeclined", ..usual });
        assert!(
            !other.prefix().starts_with(&name.prefix()) && other.prefix().starts_with("replay:0123456789ab:1-"),
            "{other:?}"
        );
    }
}
