//! Money: integer minor units with their currency beside them, never a float.
//!
//! On the wire it is `{"amount": "12.34", "currency": "GBP"}` with exactly the digits that ISO 4217
//! gives the currency: `"12.3"` GBP and `"12.00"` JPY are refused rather than rounded.

use std::fmt;

use iso_currency::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An amount in the minor unit of its currency (pence, cents, yen, fils).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Money {
    pub minor_units: i64,
    pub currency: Currency,
}

/// Why an amount is not money; worded for the caller of the API.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MoneyError {
    #[error("`{0}` is not an ISO 4217 currency code such as GBP")]
    UnknownCurrency(String),
    #[error("{0:?} is not usable for prices: ISO 4217 gives it no minor unit")]
    NoMinorUnit(Currency),
    #[error("the amount must be a decimal string such as \"12.34\"")]
    NotADecimal,
    #[error("{currency:?} amounts have exactly {digits} digits after the point")]
    WrongDigits { currency: Currency, digits: u32 },
    #[error("the amount is too large: at most 9223372036854775807 minor units")]
    Overflow,
    #[error("amounts of {0:?} and {1:?} cannot be added")]
    MixedCurrencies(Currency, Currency),
}

/// Reads an ISO 4217 code. Only upper case: codes are identifiers, not words.
pub fn parse_currency(code: &str) -> Result<Currency, MoneyError> {
    Currency::from_code(code).ok_or_else(|| MoneyError::UnknownCurrency(code.chars().take(8).collect()))
}

/// How many digits the currency has after the point, by ISO 4217.
pub fn minor_unit_digits(currency: Currency) -> Result<u32, MoneyError> {
    currency.exponent().map(u32::from).ok_or(MoneyError::NoMinorUnit(currency))
}

impl Money {
    pub const fn new(minor_units: i64, currency: Currency) -> Self {
        Self { minor_units, currency }
    }

    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// From a table's two columns. An unknown code means a damaged row, so it is an error and not a default.
    pub fn from_columns(minor_units: i64, code: &str) -> Result<Self, MoneyError> {
        Ok(Self::new(minor_units, parse_currency(code)?))
    }

    /// From a decimal string with exactly the currency's digits.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        let digits = minor_unit_digits(currency)?;
        if !is_plain_decimal(amount) {
            return Err(MoneyError::NotADecimal);
        }
        let decimal: Decimal = amount.parse().map_err(|_| MoneyError::Overflow)?;
        if decimal.scale() != digits {
            return Err(MoneyError::WrongDigits { currency, digits });
        }
        let minor_units = i64::try_from(decimal.mantissa()).map_err(|_| MoneyError::Overflow)?;
        Ok(Self::new(minor_units, currency))
    }

    /// The amount as a decimal with the currency's digits, for people and for the wire.
    pub fn decimal(&self) -> Decimal {
        Decimal::new(self.minor_units, minor_unit_digits(self.currency).unwrap_or(0))
    }

    pub fn code(&self) -> &'static str {
        self.currency.code()
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::MixedCurrencies(self.currency, other.currency));
        }
        let sum = self.minor_units.checked_add(other.minor_units).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(sum, self.currency))
    }

    pub fn checked_mul(self, quantity: i64) -> Result<Self, MoneyError> {
        let product = self.minor_units.checked_mul(quantity).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(product, self.currency))
    }
}

/// Digits, at most one point with digits on both sides, at most one leading minus: no exponent,
/// no plus sign, no separators, no spaces (all of which a decimal parser may tolerate).
fn is_plain_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(fraction)
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.code())
    }
}

/// The JSON form of [`Money`]; also its OpenAPI schema.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money)]
pub struct MoneyJson {
    /// Decimal string with exactly the currency's ISO 4217 digits.
    #[schema(example = "12.34")]
    pub amount: String,
    /// ISO 4217 code.
    #[schema(example = "GBP")]
    pub currency: String,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        MoneyJson { amount: self.decimal().to_string(), currency: self.code().to_owned() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = MoneyJson::deserialize(deserializer)?;
        let currency = parse_currency(&json.currency).map_err(D::Error::custom)?;
        Self::parse(&json.amount, currency).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_exactly_the_digits_of_their_currency() {
        assert_eq!(Money::parse("12.34", Currency::GBP), Ok(Money::new(1234, Currency::GBP)));
        assert_eq!(Money::parse("500", Currency::JPY), Ok(Money::new(500, Currency::JPY)));
        assert_eq!(Money::parse("1.230", Currency::KWD), Ok(Money::new(1230, Currency::KWD)));
        for (amount, currency) in [
            ("12.3", Currency::GBP),
            ("12", Currency::GBP),
            ("12.340", Currency::GBP),
            ("5.0", Currency::JPY),
            ("1.23", Currency::KWD),
        ] {
            assert!(matches!(Money::parse(amount, currency), Err(MoneyError::WrongDigits { .. })), "{amount}");
        }
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for amount in ["", "1e3", "+1.00", " 1.00", "1,000.00", "NaN", ".50", "1.", "--1.00", "1_000.00"] {
            assert_eq!(Money::parse(amount, Currency::GBP), Err(MoneyError::NotADecimal), "{amount}");
        }
    }

    #[test]
    fn overflow_is_an_error_and_not_a_wrap() {
        assert_eq!(Money::parse("92233720368547758.08", Currency::GBP), Err(MoneyError::Overflow));
        assert_eq!(Money::new(i64::MAX, Currency::GBP).checked_mul(2), Err(MoneyError::Overflow));
    }

    #[test]
    fn money_survives_its_json_form() {
        let money = Money::new(-5, Currency::GBP);
        let json = serde_json::to_string(&money).expect("serializes");
        assert_eq!(json, r#"{"amount":"-0.05","currency":"GBP"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).expect("parses"), money);
    }
}
