//! What a saga knows: its input, and the output of each step that is done under the step's name. And how large that may grow.

use std::{io, ops::Deref};

use makegood_contracts::{command::Direction, reply::Outcome};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::event::Event;

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
    /// Its length as compact JSON, and a comma.
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

    /// Takes up what an event of the log adds: the context is the input and the sum of the log. A step is decided once, so the first output
    /// stands.
    pub fn learn(&mut self, event: Event) {
        match event {
            Event::Replied { step, direction: Direction::Do, outcome: Outcome::Done { output }, .. }
            | Event::Resolved { step, output, .. } => self.add(step, output),
            // Null stands for no output at all.
            Event::StepSkipped { step, output, .. } if !output.is_null() => self.add(step, output),
            Event::Started
            | Event::Replied { .. }
            | Event::Signalled { .. }
            | Event::StepSkipped { .. }
            | Event::Cancelled { .. }
            | Event::Woke
            | Event::Recovered
            | Event::Retried { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::CompensationForced { .. }
            | Event::CancelledByOperator { .. }
            | Event::VersionMoved { .. } => {}
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

/// The length of a value as compact JSON.
pub fn bytes_of(value: &(impl Serialize + ?Sized)) -> usize {
    let mut counter = Counter(0);
    // A counter takes everything, and a value has no keys that are no text.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// With the colon and the comma.
pub(crate) fn entry_bytes(name: &str, value: &Value) -> usize {
    bytes_of(name) + bytes_of(value) + 2
}

/// Counts what is written.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_size_is_the_length_of_the_json() {
        let lines: Vec<Value> = (0..100)
            .map(|n| json!({"sku": format!("sku-{n}"), "quantity": n, "gift": n % 2 == 0, "note": null}))
            .collect();
        let value = json!({"lines": lines, "ratio": -1.234_567_890_123_456e-100, "big": u64::MAX});
        assert_eq!(bytes_of(&value), value.to_string().len());
        let escaped = json!({"a \"quote\"": "a line\nand \u{1}"});
        assert_eq!(bytes_of(&escaped), escaped.to_string().len());
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
        assert_eq!(context.bytes(), bytes_of(&json!({"pay": "a longer one than before", "ship": ["p1", "p2"]})) + 1);
        assert_eq!(Context::default().bytes(), "{}".len());
    }
}
