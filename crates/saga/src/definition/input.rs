//! Which parts of a saga's context go along with a command: a path per field, and what to send where it finds nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::ContextPath;

/// Fields and the paths that fill them. A path that finds nothing leaves its field out, unless it has a default.
#[derive(Debug, Clone, Default)]
pub struct Input {
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    path: ContextPath,
    default: Option<Value>,
}

impl Field {
    /// `$.step.field`, or `{path: $.step.field, default: value}`.
    fn parse(name: &str, value: &Value) -> Result<Self, String> {
        let (text, default) = match value {
            Value::String(text) => (text.as_str(), None),
            Value::Object(fields) => {
                if let Some(other) = fields.keys().find(|key| !matches!(key.as_str(), "path" | "default")) {
                    return Err(format!("`{other}` is unknown here: write `path` and `default`"));
                }
                let path = fields.get("path").and_then(Value::as_str).ok_or("`path` must be a JSONPath")?;
                (path, fields.get("default").cloned())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return Err("write a path such as `$.step.field`, or `{path: …, default: …}`".to_owned());
            }
        };
        Ok(Self { name: name.to_owned(), path: ContextPath::parse(text)?, default })
    }
}

impl Input {
    pub(super) fn parse(fields: &BTreeMap<String, Value>) -> Result<Self, String> {
        let mut parsed = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            parsed.push(Field::parse(name, value).map_err(|error| format!("input `{name}`: {error}"))?);
        }
        Ok(Self { fields: parsed })
    }

    /// One unnamed path, as a deadline is.
    pub(super) fn single(text: &str) -> Result<Self, String> {
        Ok(Self { fields: vec![Field { name: String::new(), path: ContextPath::parse(text)?, default: None }] })
    }

    /// The context's entries that are read, and whether there is a default for when they are absent.
    pub(super) fn roots(&self) -> impl Iterator<Item = (&str, bool)> {
        self.fields.iter().map(|field| (field.path.root(), field.default.is_some()))
    }

    /// The payload for a context.
    pub fn evaluate(&self, context: &Map<String, Value>) -> Map<String, Value> {
        let value = |field: &Field| field.path.find(context).or_else(|| field.default.clone());
        self.fields.iter().filter_map(|field| Some((field.name.clone(), value(field)?))).collect()
    }

    /// The value of a single path.
    pub fn evaluate_single(&self, context: &Map<String, Value>) -> Option<Value> {
        self.fields.first().and_then(|field| field.path.find(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_value_leaves_its_field_out_or_gives_the_default() {
        let fields = BTreeMap::from([
            ("there".to_owned(), json!("$.input.a")),
            ("gone".to_owned(), json!("$.maybe.x")),
            ("instead".to_owned(), json!({"path": "$.maybe.x", "default": null})),
            ("kept".to_owned(), json!({"path": "$.input.a", "default": 2})),
        ]);
        let context = Map::from_iter([("input".to_owned(), json!({"a": 1}))]);
        let payload = Input::parse(&fields).expect("in order").evaluate(&context);
        assert_eq!(Value::Object(payload), json!({"there": 1, "instead": null, "kept": 1}));
    }

    #[test]
    fn what_is_neither_a_path_nor_a_path_with_a_default_is_refused() {
        for value in [json!(1), json!({"path": 1}), json!({"default": 1}), json!({"path": "$.a", "els": 1}), json!("a")]
        {
            assert!(Input::parse(&BTreeMap::from([("x".to_owned(), value.clone())])).is_err(), "{value}");
        }
    }
}
