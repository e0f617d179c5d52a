//! The condition of a step: asked once, when the step is reached; a step whose condition does not hold is skipped.
//!
//! A path alone holds when it finds something: nothing at all, `null`, `false`, `0`, and an empty text, list or object
//! are a no. `{path, equals}` and `{path, not_equals}` compare with a value; what is not there equals `null`. Of a list,
//! all conditions must hold.

use serde_json::{Map, Value};

use super::path::ContextPath;

/// Conditions that must all hold.
#[derive(Debug, Clone)]
pub struct When {
    all: Vec<Condition>,
}

#[derive(Debug, Clone)]
struct Condition {
    path: ContextPath,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Something,
    Equals(Value),
    NotEquals(Value),
}

impl When {
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let all = match value {
            Value::Array(conditions) if conditions.is_empty() => {
                return Err("an empty list says nothing: leave `when` out".to_owned());
            }
            Value::Array(conditions) => conditions.iter().map(Condition::parse).collect::<Result<_, _>>(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Condition::parse(value).map(|condition| vec![condition])
            }
        };
        Ok(Self { all: all? })
    }

    /// The context's entries that are read.
    pub(super) fn roots(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|condition| condition.path.root())
    }

    /// What speaks against its conditions, though they can be read.
    pub(super) fn objections(&self) -> impl Iterator<Item = String> {
        self.all.iter().filter_map(Condition::objection)
    }

    /// Whether the step is to be done in this context.
    pub fn holds(&self, context: &Map<String, Value>) -> bool {
        self.all.iter().all(|condition| condition.holds(context))
    }
}

impl Condition {
    fn objection(&self) -> Option<String> {
        let compares_list = match &self.test {
            Test::Something => false,
            Test::Equals(value) | Test::NotEquals(value) => !self.path.is_singular() && !value.is_array(),
        };
        let told = || {
            format!(
                "`{}` finds a list, which never equals anything but a list: ask for what passes a filter, as in `$.step.lines[?@.kind == 'gift']`",
                self.path
            )
        };
        self.path.objection().or_else(|| compares_list.then(told))
    }

    fn parse(value: &Value) -> Result<Self, String> {
        const FORM: &str =
            "write a path such as `$.step.field`, or `{path: …, equals: …}`, or `{path: …, not_equals: …}`";
        match value {
            Value::String(text) => Ok(Self { path: ContextPath::parse(text)?, test: Test::Something }),
            Value::Object(fields) => {
                if let Some(other) = fields.keys().find(|key| !matches!(key.as_str(), "path" | "equals" | "not_equals"))
                {
                    return Err(format!("`{other}` is unknown here: {FORM}"));
                }
                let path = fields.get("path").and_then(Value::as_str).ok_or(FORM)?;
                let test = match (fields.get("equals"), fields.get("not_equals")) {
                    (Some(value), None) => Test::Equals(value.clone()),
                    (None, Some(value)) => Test::NotEquals(value.clone()),
                    (None, None) => Test::Something,
                    (Some(_), Some(_)) => {
                        return Err("`equals` and `not_equals` are two conditions: write a list".to_owned());
                    }
                };
                Ok(Self { path: ContextPath::parse(path)?, test })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(FORM.to_owned()),
        }
    }

    fn holds(&self, context: &Map<String, Value>) -> bool {
        let found = self.path.find(context).unwrap_or_default();
        match &self.test {
            Test::Something => is_something(&found),
            Test::Equals(value) => is_equal(&found, value),
            Test::NotEquals(value) => !is_equal(&found, value),
        }
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, condition) in self.all.iter().enumerate() {
            let path = &condition.path;
            f.write_str(if place == 0 { "" } else { " and " })?;
            match &condition.test {
                Test::Something => write!(f, "{path}")?,
                Test::Equals(value) => write!(f, "{path} = {value}")?,
                Test::NotEquals(value) => write!(f, "{path} ≠ {value}")?,
            }
        }
        Ok(())
    }
}

/// Numbers by what they are worth, as in a filter (RFC 9535, 2.3.5.2.2), however a participant writes them.
fn is_equal(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) if found.is_f64() || wanted.is_f64() => {
            found.as_f64() == wanted.as_f64()
        }
        _ => found == wanted,
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(when: Value) -> bool {
        let Value::Object(context) = json!({"input": {
            "yes": true, "no": false, "nought": 0, "empty": "", "none": null, "gift": {"text": "hi"},
            "method": "express", "lines": [{"quantity": 1}, {"quantity": 20}],
        }}) else {
            unreachable!("it is an object")
        };
        When::parse(&when).expect("a condition").holds(&context)
    }

    #[test]
    fn a_path_holds_when_it_finds_something() {
        for path in ["$.input.yes", "$.input.gift", "$.input.method", "$.input.lines[?@.quantity > 10]"] {
            assert!(holds(json!(path)), "{path}");
        }
        for path in ["no", "nought", "empty", "none", "absent", "lines[?@.quantity > 99]"] {
            assert!(!holds(json!(format!("$.input.{path}"))), "{path}");
        }
        assert!(!holds(json!("$.skipped.output")));
    }

    #[test]
    fn a_path_can_be_compared_and_what_is_absent_equals_null() {
        assert!(holds(json!({"path": "$.input.method", "equals": "express"})));
        assert!(!holds(json!({"path": "$.input.method", "not_equals": "express"})));
        assert!(holds(json!({"path": "$.input.absent", "equals": null})));
        assert!(holds(json!({"path": "$.input.nought", "equals": 0.0})));
        // A double could not tell these apart.
        assert!(!is_equal(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)));
        assert!(holds(json!({"path": "$.skipped.output", "not_equals": 1})));
    }

    #[test]
    fn of_a_list_all_must_hold() {
        let express = json!({"path": "$.input.method", "equals": "express"});
        assert!(holds(json!(["$.input.yes", express])));
        assert!(!holds(json!(["$.input.no", express])));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        let both = json!({"path": "$.a", "equals": 1, "not_equals": 2});
        for when in [json!(true), json!([]), json!({"equals": 1}), json!({"path": "$.a", "eq": 1}), json!("a"), both] {
            assert!(When::parse(&when).is_err(), "{when}");
        }
    }
}
