//! What a saga knows: its input, and the output of each step that is done under the step's name. And how large that may grow.

use std::ops::Deref;

use serde_json::{Map, Value};

/// The largest context, in bytes as JSON: 256 kB. A saga is loaded, moved and shown as a whole; what is larger than this
/// belongs into the participant's own tables, with an id in the context.
pub const LIMIT: usize = 256 * 1024;

/// Read like the map that it is. It knows its size, which is asked for at each output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    entries: Map<String, Value>,
    /// Of the entries, without the braces around them.
    entry_bytes: usize,
}

impl Context {
    /// Its length as compact JSON, or a little more: see [`bytes_of`].
    pub fn bytes(&self) -> usize {
        2 + self.entry_bytes
    }

    /// Puts a value under a name, in place of what was there.
    pub fn insert(&mut self, name: String, value: Value) {
        self.remove(&name);
        self.entry_bytes += entry_bytes(&name, &value);
        self.entries.insert(name, value);
    }

    /// Puts a value under a name where there is none.
    pub fn add(&mut self, name: String, value: Value) {
        if !self.entries.contains_key(&name) {
            self.insert(name, value);
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let value = self.entries.remove(name)?;
        self.entry_bytes -= entry_bytes(name, &value);
        Some(value)
    }
}

impl Deref for Context {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

impl From<Map<String, Value>> for Context {
    fn from(entries: Map<String, Value>) -> Self {
        let entry_bytes = entries.iter().map(|(name, value)| entry_bytes(name, value)).sum();
        Self { entries, entry_bytes }
    }
}

/// The length of a value as compact JSON, told without writing it. Characters that JSON escapes count as they are, and a
/// number as the longest one.
pub fn bytes_of(value: &Value) -> usize {
    /// Digits, sign, point and exponent of a 64-bit number.
    const NUMBER: usize = 24;
    match value {
        Value::Null => 4,
        Value::Bool(_) => 5,
        Value::Number(_) => NUMBER,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().fold(2, |sum, item| sum + bytes_of(item) + 1),
        Value::Object(fields) => fields.iter().fold(2, |sum, (name, value)| sum + entry_bytes(name, value)),
    }
}

/// With the name's quotes, the colon and the comma.
fn entry_bytes(name: &str, value: &Value) -> usize {
    name.len() + 4 + bytes_of(value)
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
        let (size, length) = (bytes_of(&value), value.to_string().len());
        assert!(length <= size && size < length * 3 / 2, "{size} for {length} bytes");
    }

    #[test]
    fn a_context_knows_its_size_whatever_was_put_in_and_taken_out() {
        let mut context = Context::from(Map::from_iter([("input".to_owned(), json!({"cart": "crt_1"}))]));
        context.insert("pay".to_owned(), json!({"amount": "1.00"}));
        context.insert("pay".to_owned(), json!("a longer one than before"));
        context.add("pay".to_owned(), json!("not this one"));
        context.add("ship".to_owned(), json!(["p1", "p2"]));
        assert_eq!(context.remove("input"), Some(json!({"cart": "crt_1"})));
        assert_eq!(context.remove("input"), None);
        assert_eq!(context["pay"], json!("a longer one than before"));
        assert_eq!(context.bytes(), bytes_of(&json!({"pay": "a longer one than before", "ship": ["p1", "p2"]})));
        assert_eq!(Context::default().bytes(), "{}".len());
    }
}
