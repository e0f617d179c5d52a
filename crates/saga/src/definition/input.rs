//! Which parts of a saga's context go along with a command: a path per field, and what to send where it finds nothing.

use serde_json::{Map, Value};

use super::path::ContextPath;

/// Fields and the paths that fill them. A path that finds nothing leaves its field out, unless it has a default.
#[derive(Debug, Clone, Default)]
pub struct Input {
    fields: Vec<Field>,
}

/// In whichever order its fields are written.
impl PartialEq for Input {
    fn eq(&self, other: &Self) -> bool {
        self.fields.len() == other.fields.len() && self.fields.iter().all(|field| other.fields.contains(field))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    name: String,
    path: ContextPath,
    default: Option<Value>,
}

impl Field {
    /// `$.step.field`, or `{path: $.step.field, default: value}`.
    pub(super) fn parse(name: &str, value: &Value) -> Result<Self, String> {
        const FORM: &str = "write a path such as `$.step.field`, or `{path: …, default: …}`";
        let (text, default) = match value {
            Value::String(text) => (text.as_str(), None),
            Value::Object(fields) => {
                if let Some(other) = fields.keys().find(|key| !matches!(key.as_str(), "path" | "default")) {
                    return Err(format!("`{other}` is unknown here: {FORM}"));
                }
                (fields.get("path").and_then(Value::as_str).ok_or(FORM)?, fields.get("default").cloned())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return Err(FORM.to_owned()),
        };
        Ok(Self { name: name.to_owned(), path: ContextPath::parse(text)?, default })
    }

    /// The context's entry that is read.
    pub(super) fn root(&self) -> &str {
        self.path.root()
    }

    /// What speaks against its path.
    pub(super) fn objection(&self) -> Option<String> {
        self.path.objection()
    }

    /// Whether it reads one place, and not a list.
    pub(super) const fn is_singular(&self) -> bool {
        self.path.is_singular()
    }

    /// Whether something is sent also when the path finds nothing.
    pub(super) const fn has_default(&self) -> bool {
        self.default.is_some()
    }
}

impl Input {
    pub(super) const fn of(fields: Vec<Field>) -> Self {
        Self { fields }
    }

    /// The payload for a context.
    pub fn evaluate(&self, context: &Map<String, Value>) -> Map<String, Value> {
        let value = |field: &Field| field.path.find(context).or_else(|| field.default.clone());
        self.fields.iter().filter_map(|field| Some((field.name.clone(), value(field)?))).collect()
    }

    /// Whether it reads this entry of the context without a default.
    pub(super) fn counts_on(&self, root: &str) -> bool {
        self.fields.iter().any(|field| field.root() == root && !field.has_default())
    }

    /// The value of a single path.
    pub fn evaluate_single(&self, context: &Map<String, Value>) -> Option<Value> {
        self.fields.first().and_then(|field| field.path.find(context))
    }
}

impl std::fmt::Display for Input {
    /// The paths that are read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, field) in self.fields.iter().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { ", " }, field.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_value_leaves_its_field_out_or_gives_the_default() {
        let fields = [
            ("there", json!("$.input.a")),
            ("gone", json!("$.maybe.x")),
            ("instead", json!({"path": "$.maybe.x", "default": null})),
            ("kept", json!({"path": "$.input.a", "default": 2})),
        ];
        let fields = fields.map(|(name, value)| Field::parse(name, &value).expect("in order"));
        let context = Map::from_iter([("input".to_owned(), json!({"a": 1}))]);
        let payload = Input::of(fields.into()).evaluate(&context);
        assert_eq!(Value::Object(payload), json!({"there": 1, "instead": null, "kept": 1}));
    }

    #[test]
    fn what_is_neither_a_path_nor_a_path_with_a_default_is_refused() {
        for value in [json!(1), json!({"path": 1}), json!({"default": 1}), json!({"path": "$.a", "els": 1}), json!("a")]
        {
            assert!(Field::parse("x", &value).is_err(), "{value}");
        }
    }
}
