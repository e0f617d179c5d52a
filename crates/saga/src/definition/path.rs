//! One place in a saga's context: JSONPath (RFC 9535) that begins with a root, which is `input` or a step.

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

#[derive(Debug, Clone)]
pub(super) struct ContextPath {
    /// As it was written.
    text: String,
    /// What is queried within the root's value.
    path: JsonPath,
    /// Whether it names one place; otherwise what it finds is a list, also when that is one or none.
    is_singular: bool,
    /// The context entry that it reads: `input` or a step's name.
    root: String,
}

impl ContextPath {
    /// Splits `$.root.rest` so that the rest is queried within the root's value, without copying the whole context.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        JsonPath::parse(text).map_err(|error| format!("`{text}` is no JSONPath: {error}"))?;
        let rest = text.strip_prefix("$.").ok_or_else(|| format!("`{text}` must begin with `$.` and a name"))?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (root, tail) = rest.split_at(end);
        if root.is_empty() {
            return Err(format!("`{text}` must name `input` or a step first"));
        }
        let path = JsonPath::parse(&format!("${tail}")).map_err(|error| format!("`{text}` is no JSONPath: {error}"))?;
        let is_singular = !tail.contains(['*', '?', ':', ',']) && !tail.contains("..");
        Ok(Self { text: text.to_owned(), path, is_singular, root: root.to_owned() })
    }

    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The value there. None when the root is absent or the one place named is.
    pub(super) fn find(&self, context: &Map<String, Value>) -> Option<Value> {
        let value = context.get(&self.root)?;
        let found = self.path.query(value);
        if self.is_singular {
            found.first().cloned()
        } else {
            Some(Value::Array(found.iter().map(|value| (*value).clone()).collect()))
        }
    }
}

impl std::fmt::Display for ContextPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn find(path: &str) -> Option<Value> {
        let Value::Object(context) = json!({"input": {"a": 1, "b": null}, "price": {"lines": [{"sku": "x"}]}}) else {
            unreachable!("it is an object")
        };
        ContextPath::parse(path).expect("a path").find(&context)
    }

    #[test]
    fn a_singular_path_gives_the_value_and_a_missing_one_nothing() {
        assert_eq!(find("$.input.a"), Some(json!(1)));
        assert_eq!(find("$.input.b"), Some(json!(null)));
        assert_eq!(find("$.input.c"), None);
        assert_eq!(find("$.later.c"), None);
        assert_eq!(find("$.price"), Some(json!({"lines": [{"sku": "x"}]})));
    }

    #[test]
    fn a_path_for_many_gives_a_list_of_whatever_it_finds() {
        assert_eq!(find("$.price.lines[*].sku"), Some(json!(["x"])));
        assert_eq!(find("$.price.lines[*].none"), Some(json!([])));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["input.a", "$", "$.", "$[0]", "$.input.", "$.input[", ""] {
            assert!(ContextPath::parse(text).is_err(), "{text}");
        }
    }
}
