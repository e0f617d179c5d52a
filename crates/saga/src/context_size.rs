//! How large a saga's context may grow, and how large a value is.

use serde_json::{Map, Value};

/// The largest context, in bytes as JSON: 256 kB. A saga is loaded, moved and shown as a whole; what is larger than this
/// belongs into the participant's own tables, with an id in the context.
pub const LIMIT: usize = 256 * 1024;

/// The size of a context.
pub fn of(context: &Map<String, Value>) -> usize {
    // `{}`, and per entry its quotes, its colon and its comma.
    context.iter().fold(2, |sum, (name, value)| sum + name.len() + 4 + of_value(value))
}

/// The length of a value as compact JSON, told without writing it. Characters that JSON escapes count as they are, and a
/// number as the longest one.
pub fn of_value(value: &Value) -> usize {
    /// Digits, sign, point and exponent of a 64-bit number.
    const NUMBER: usize = 24;
    match value {
        Value::Null => 4,
        Value::Bool(_) => 5,
        Value::Number(_) => NUMBER,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().fold(2, |sum, item| sum + of_value(item) + 1),
        Value::Object(fields) => of(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_size_is_near_the_length_of_the_json_and_never_below_it() {
        let lines: Vec<Value> = (0..100)
            .map(|n| json!({"sku": format!("sku-{n}"), "quantity": n, "gift": n % 2 == 0, "note": null}))
            .collect();
        let value = json!({"lines": lines, "ratio": -1.234_567_890_123_456e-100, "big": u64::MAX});
        let (size, length) = (of_value(&value), value.to_string().len());
        assert!(length <= size && size < length * 3 / 2, "{size} for {length} bytes");
    }
}
