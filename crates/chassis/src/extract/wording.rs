//! What is wrong with a value, said for whoever sent it: a deserializer's messages name types of Rust, and quote what
//! was sent. What may be a card number is not repeated, wherever in a request it stood.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What serde calls the kinds of values, and what JSON calls them.
const KINDS: [(&str, &str); 10] = [
    (r"\bexpected (?:internally tagged enum|struct|tuple struct|variant) \w+", "expected an object"),
    (r"\bexpected (?:u8|u16|u32|u64|usize|i8|i16|i32|i64)\b", "expected a whole number"),
    (r"\bexpected (?:f32|f64)\b", "expected a number"),
    (r"\bexpected a sequence\b", "expected an array"),
    (r"\bexpected a map\b", "expected an object"),
    (r"\bexpected unit\b", "expected null"),
    ("^invalid type: map\\b", "invalid type: object"),
    ("^invalid type: sequence\\b", "invalid type: array"),
    ("^invalid type: (?:floating point|integer)\\b", "invalid type: number"),
    // Line and column are members of their own.
    (r" at line \d+ column \d+$", ""),
];

/// 12 to 19 digits, grouped by spaces or hyphens or not, and no part of a longer word such as an id.
const CARD_NUMBER: &str = r"(?P<before>^|[^0-9A-Za-z_])(?:[0-9][ -]?){11,18}[0-9](?P<after>$|[^0-9A-Za-z_])";

static WORDED: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| KINDS.iter().filter_map(|(told, worded)| Some((Regex::new(told).ok()?, *worded))).collect());
static MASKED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(CARD_NUMBER).ok());
