//! Which parts of a saga's context go along with a command: JSONPath (RFC 9535) per field.

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

/// Fields and the paths that fill them. A path that finds nothing leaves its field out.
#[derive(Debug, Clone, Default)]
pub struct Input {
    fields: Vec<(String, Path)>,
}

#[derive(Debug, Clone)]
struct Path {
    path: JsonPath,
    /// Whether it names one place; otherwise what it finds is a list, also when that is one or none.
    is_singular: bool,
    /// The context entry that it reads: `input` or a step's name.
    root: Option<String>,
}

impl Input {
    pub(super) fn parse(fields: &std::collections::BTreeMap<String, String>) -> Result<Self, String> {
        let mut parsed = Vec::with_capacity(fields.len());
        for (name, text) in fields {
            let path = parse_path(text).map_err(|error| format!("input `{name}`: {error}"))?;
            parsed.push((name.clone(), path));
        }
        Ok(Self { fields: parsed })
    }

    /// One unnamed path, as a deadline is.
    pub(super) fn single(text: &str) -> Result<Self, String> {
        Ok(Self { fields: vec![(String::new(), parse_path(text)?)] })
    }

    /// The names of the context's entries that are read.
    pub(super) fn roots(&self) -> impl Iterator<Item = Option<&str>> {
        self.fields.iter().map(|(_, path)| path.root.as_deref())
    }

    /// The payload for a context.
    pub fn evaluate(&self, context: &Map<String, Value>) -> Map<String, Value> {
        // A path needs a value to start from; each reads one root, so only that is looked at.
        self.fields.iter().filter_map(|(name, path)| Some((name.clone(), path.find(context)?))).collect()
    }

    /// The value of a single path.
    pub fn evaluate_single(&self, context: &Map<String, Value>) -> Option<Value> {
        self.fields.first().and_then(|(_, path)| path.find(context))
    }
}

impl Path {
    fn find(&self, context: &Map<String, Value>) -> Option<Value> {
        let root = self.root.as_ref()?;
        let value = context.get(root)?;
        let found = self.path.query(value);
        if self.is_singular {
            found.first().cloned()
        } else {
            Some(Value::Array(found.iter().map(|value| (*value).clone()).collect()))
        }
    }
}

/// Splits `$.root.rest` so that the rest is queried within the root's value, without copying the whole context.
fn parse_path(text: &str) -> Result<Path, String> {
    JsonPath::parse(text).map_err(|error| format!("`{text}` is no JSONPath: {error}"))?;
    let rest = text.strip_prefix("$.").ok_or_else(|| format!("`{text}` must begin with `$.` and a name"))?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (root, tail) = rest.split_at(end);
    if root.is_empty() {
        return Err(format!("`{text}` must name `input` or a step first"));
    }
    let path = JsonPath::parse(&format!("${tail}")).map_err(|error| format!("`{text}` is no JSONPath: {error}"))?;
    let is_singular = !tail.contains(['*', '?', ':', ',']) && !tail.contains("..");
    Ok(Path { path, is_singular, root: Some(root.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn context() -> Map<String, Value> {
        let Value::Object(context) = json!({"input": {"a": 1, "b": null}, "price": {"lines": [{"sku": "x"}]}}) else {
            unreachable!("it is an object")
        };
        context
    }

    fn evaluate(path: &str) -> Option<Value> {
        Input::single(path).expect("a path").evaluate_single(&context())
    }

    #[test]
    fn a_singular_path_gives_the_value_and_a_missing_one_nothing() {
        assert_eq!(evaluate("$.input.a"), Some(json!(1)));
        assert_eq!(evaluate("$.input.b"), Some(json!(null)));
        assert_eq!(evaluate("$.input.c"), None);
        assert_eq!(evaluate("$.later.c"), None);
        assert_eq!(evaluate("$.price"), Some(json!({"lines": [{"sku": "x"}]})));
    }

    #[test]
    fn a_path_for_many_gives_a_list_of_whatever_it_finds() {
        assert_eq!(evaluate("$.price.lines[*].sku"), Some(json!(["x"])));
        assert_eq!(evaluate("$.price.lines[*].none"), Some(json!([])));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["input.a", "$", "$.", "$[0]", "$.input.", "$.input[", ""] {
            assert!(Input::single(text).is_err(), "{text}");
        }
    }
}
