//! What a step's output must look like: JSON Schema, compiled once when the definition is read.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

/// As many mistakes as a person wants to read at once.
const TOLD: usize = 5;

#[derive(Debug, Clone)]
pub struct OutputSchema {
    validator: Arc<Validator>,
}

impl OutputSchema {
    /// A schema stands for itself: a `$ref` out of it is refused, since nothing is fetched here.
    pub(super) fn parse(schema: &Value) -> Result<Self, String> {
        // `format` is held against the output: an author who writes `format: uuid` means it.
        let validator = jsonschema::options().offline().should_validate_formats(true).build(schema);
        let validator = validator.map_err(|error| {
            let place = error.instance_path().to_string();
            format!("it is no JSON Schema{}: {error}", if place.is_empty() { place } else { format!(" at {place}") })
        })?;
        Ok(Self { validator: Arc::new(validator) })
    }

    /// What does not match, with its place.
    pub fn check(&self, output: &Value) -> Result<(), String> {
        if self.validator.is_valid(output) {
            return Ok(());
        }
        let told = self.validator.iter_errors(output).take(TOLD).map(|error| {
            let place = error.instance_path().to_string();
            // The rule that is broken, not the value: that may be anything, and goes into logs.
            let rule = error.masked_with("the value");
            if place.is_empty() { rule.to_string() } else { format!("{place}: {rule}") }
        });
        Err(told.collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mistakes_are_told_with_their_place_and_without_the_value() {
        let schema = json!({
            "type": "object",
            "required": ["id"],
            "properties": {"lines": {"type": "array", "items": {"type": "object", "required": ["sku"]}}},
        });
        let schema = OutputSchema::parse(&schema).expect("a schema");
        assert_eq!(schema.check(&json!({"id": 1, "lines": [{"sku": "x"}]})), Ok(()));
        let uuid = OutputSchema::parse(&json!({"properties": {"id": {"type": "string", "format": "uuid"}}}));
        assert!(uuid.expect("a schema").check(&json!({"id": "nope"})).is_err(), "a format is no remark");
        let told = schema.check(&json!({"lines": ["4242"]})).expect_err("two mistakes");
        assert!(told.contains("\"id\" is a required property") && told.contains("/lines/0: "), "{told}");
        assert!(!told.contains("4242"), "{told}");
    }

    #[test]
    fn what_is_no_schema_or_lies_elsewhere_is_refused() {
        for schema in [json!({"type": "objekt"}), json!(1), json!({"$ref": "https://example.org/schema.json"})] {
            assert!(OutputSchema::parse(&schema).is_err(), "{schema}");
        }
    }
}
