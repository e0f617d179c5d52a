//! Which lines are orders of goods, and why the others are not: the rules, each counted with its amount.

use rust_decimal::Decimal;
use serde::Serialize;

use super::lines::{Fields, Line};

/// The API's bound of a quantity.
pub(crate) const MAX_QUANTITY: i64 = 1_000_000;
/// Digits after the point in GBP, the currency of the file.
const GBP_DIGITS: u32 = 2;
/// An invoice's number is part of keys and references.
const MAX_INVOICE_CHARS: usize = 32;
/// The API's bound of a SKU.
const MAX_SKU_CHARS: usize = 64;

/// Codes that the shop wrote on invoices beside its goods: postage (POST, DOT, C2, C3: carriage), entries by hand (M, m),
/// discounts (D), samples (S), bad debts (B), and charges of the bank, of marketplaces and for charity. They are charges:
/// nobody can put them in stock. A list and not a rule ("codes without a digit"), because DCGSSBOY and DCGSSGIRL are
/// party bags that were sold like any other goods.
const NO_GOODS: [&str; 14] =
    ["POST", "DOT", "C2", "C3", "M", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS", "ADJUST", "ADJUST2"];

/// Why a line is not part of a placed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// The invoice begins with C: goods came back, or an order was called off.
    Cancellation,
    /// The invoice begins with A: a bad debt was adjusted.
    Adjustment,
    /// A charge, a discount or a fee, see [`NO_GOODS`].
    NoGoods,
    /// Zero or fewer pieces: a write-off by the warehouse.
    NoQuantity,
    /// Zero or less to pay: a gift, or a clerk's note.
    NoPrice,
    /// A price that GBP has no coins for, such as 0.001.
    FractionOfPenny,
    /// A code that the API does not take as SKU.
    UnusableSku,
    /// More pieces than the API takes in one line.
    QuantityTooLarge,
    /// Columns missing, or no number where one belongs; it has no amount.
    Malformed,
    /// Of an order past `--limit`.
    BeyondLimit,
}

impl Why {
    /// The sentence for people.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Cancellation => "cancellation of an earlier order",
            Self::Adjustment => "adjustment of a bad debt",
            Self::NoGoods => "no goods: postage, discount, fee, entry by hand",
            Self::NoQuantity => "quantity is zero or negative",
            Self::NoPrice => "price is zero or negative",
            Self::FractionOfPenny => "price has more digits than GBP",
            Self::UnusableSku => "code is not usable as SKU",
            Self::QuantityTooLarge => "quantity is over 1,000,000",
            Self::Malformed => "malformed line",
            Self::BeyondLimit => "of an order beyond --limit",
        }
    }
}

/// A line that goes into an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goods {
    pub(crate) line: u64,
    pub(crate) invoice: String,
    pub(crate) sku: String,
    pub(crate) title: String,
    pub(crate) quantity: i64,
    pub(crate) price: Decimal,
    pub(crate) amount: Decimal,
    pub(crate) customer: String,
    pub(crate) country: String,
}

/// What the rules say of one line. `amount` is quantity × price, exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Goods(Goods),
    Left { why: Why, amount: Decimal },
}

/// Applies the rules; the first that fits counts.
pub(crate) fn judge(line: Line) -> Verdict {
    let malformed = Verdict::Left { why: Why::Malformed, amount: Decimal::ZERO };
    let Some(fields) = line.fields else { return malformed };
    let Some((quantity, price, amount)) = numbers(&fields) else { return malformed };
    match reason(&fields, quantity, price) {
        Some(why) => Verdict::Left { why, amount },
        None => Verdict::Goods(Goods {
            line: line.number,
            title: title(&fields),
            invoice: fields.invoice,
            sku: fields.sku,
            quantity,
            price,
            amount,
            customer: fields.customer,
            country: fields.country,
        }),
    }
}

fn numbers(fields: &Fields) -> Option<(i64, Decimal, Decimal)> {
    let named = (1..=MAX_INVOICE_CHARS).contains(&fields.invoice.len())
        && fields.invoice.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let quantity: i64 = fields.quantity.parse().ok()?;
    let price = Decimal::from_str_exact(&fields.price).ok()?;
    let amount = price.checked_mul(Decimal::from(quantity))?;
    named.then_some((quantity, price.normalize(), amount))
}

fn reason(fields: &Fields, quantity: i64, price: Decimal) -> Option<Why> {
    match fields.invoice.as_bytes().first() {
        Some(b'C' | b'c') => return Some(Why::Cancellation),
        Some(b'A' | b'a') => return Some(Why::Adjustment),
        Some(_) | None => {}
    }
    let usable_sku = (1..=MAX_SKU_CHARS).contains(&fields.sku.len())
        && fields.sku.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    [
        (NO_GOODS.contains(&fields.sku.to_ascii_uppercase().as_str()), Why::NoGoods),
        (quantity <= 0, Why::NoQuantity),
        (price <= Decimal::ZERO, Why::NoPrice),
        (price.scale() > GBP_DIGITS, Why::FractionOfPenny),
        (!usable_sku, Why::UnusableSku),
        (quantity > MAX_QUANTITY, Why::QuantityTooLarge),
    ]
    .into_iter()
    .find_map(|(applies, why)| applies.then_some(why))
}

/// The description without control characters, at most 200 characters; the SKU where there is none.
fn title(fields: &Fields) -> String {
    let text: String = fields.description.chars().filter(|char| !char.is_control()).take(200).collect();
    let text = text.trim();
    if text.is_empty() { fields.sku.clone() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(invoice: &str, sku: &str, quantity: &str, price: &str) -> Line {
        let fields = Fields {
            invoice: invoice.into(),
            sku: sku.into(),
            quantity: quantity.into(),
            price: price.into(),
            ..Fields::default()
        };
        Line { number: 7, fields: Some(fields) }
    }

    #[test]
    fn each_rule_has_its_reason_and_keeps_the_exact_amount() {
        let cases = [
            ("C536379", "D", "-1", "27.50", Why::Cancellation, "-27.50"),
            ("A563185", "B", "1", "11062.06", Why::Adjustment, "11062.06"),
            ("536370", "POST", "3", "18.00", Why::NoGoods, "54.00"),
            ("536370", "m", "1", "2.00", Why::NoGoods, "2.00"),
            ("536370", "BANK CHARGES", "1", "0.001", Why::NoGoods, "0.001"),
            ("536370", "22423", "-10", "0", Why::NoQuantity, "0"),
            ("536370", "22423", "3", "0.0", Why::NoPrice, "0"),
            ("536370", "22423", "3", "-1.5", Why::NoPrice, "-4.5"),
            ("536370", "22423", "3", "0.001", Why::FractionOfPenny, "0.003"),
            ("536370", "A B", "3", "1.00", Why::UnusableSku, "3"),
            ("536370", "22423", "1000001", "1", Why::QuantityTooLarge, "1000001"),
            ("536370", "22423", "six", "1.00", Why::Malformed, "0"),
            ("536370", "22423", "6", "1,00", Why::Malformed, "0"),
            ("", "22423", "6", "1.00", Why::Malformed, "0"),
        ];
        for (invoice, sku, quantity, price, why, amount) in cases {
            let expected = Verdict::Left { why, amount: amount.parse().expect("a decimal") };
            assert_eq!(judge(line(invoice, sku, quantity, price)), expected, "{invoice} {sku} {quantity} {price}");
        }
        assert_eq!(
            judge(Line { number: 1, fields: None }),
            Verdict::Left { why: Why::Malformed, amount: Decimal::ZERO }
        );
    }

    #[test]
    fn goods_have_a_title_even_without_a_description_and_trailing_zeros_are_no_digits() {
        let Verdict::Goods(goods) = judge(line("536370", "DCGSSBOY", "2", "3.290")) else { panic!("goods") };
        assert_eq!((goods.title.as_str(), goods.line, goods.price.to_string().as_str()), ("DCGSSBOY", 7, "3.29"));
        assert_eq!(goods.amount, "6.58".parse().expect("a decimal"));
    }
}
