//! The JSON Schema of definitions, for editors. The parser decides; tests keep the two in step.

/// `saga-definitions/saga.schema.json`.
pub const JSON_SCHEMA: &str = include_str!("../../../../saga-definitions/saga.schema.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{
        super::{Definition, located, yaml},
        JSON_SCHEMA,
    };

    fn schema() -> Value {
        serde_json::from_str(JSON_SCHEMA).expect("the schema is JSON")
    }

    fn accepts(yaml: &str) -> bool {
        let tree = located::parse(yaml).expect("it is YAML").to_json();
        jsonschema::validator_for(&schema()).expect("the schema is one").is_valid(&tree)
    }

    #[test]
    fn it_names_the_fields_that_the_parser_knows() {
        let schema = schema();
        let places = [
            ("", yaml::DOCUMENT),
            ("/$defs/commandStep", yaml::COMMAND_STEP),
            ("/$defs/awaitStep", yaml::AWAIT_STEP),
            ("/$defs/group", yaml::GROUP),
            ("/$defs/finally", yaml::FINALLY_STEP),
            ("/$defs/retry", yaml::RETRY),
        ];
        for (place, known) in places {
            let properties = schema.pointer(&format!("{place}/properties")).and_then(Value::as_object).expect("fields");
            let named: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            assert_eq!(named, known.iter().copied().collect(), "{place}");
        }
    }

    const STEP: &str = "{ step: a, command: s.v, timeout: 5s }";

    fn with(steps: &str) -> String {
        format!("saga: a\nversion: 1\nsteps: [{STEP}, {steps}]\n")
    }

    #[test]
    fn it_accepts_what_the_parser_accepts() {
        let good = [
            "{ step: b, command: s.v, compensate: s.u, when: $.a.x, input: { x: { path: $.a.x, default: [] } } }",
            "{ step: b, command: s.v, when: [$.a.x, { path: $.a.y, equals: null }, { path: $.a.y, not_equals: 1 }] }",
            "{ step: b, command: s.v, output: { type: object }, retry: { attempts: 3, initial: 1s, factor: 2, max: 1m } }",
            "{ step: b, command: s.v, pending: s.p, pending_deadline: 1h, pivot: true }",
            "{ step: b, command: s.v, stuck_after: 90s }",
            "{ step: b, await: go, deadline: $.a.until, on_deadline: compensate }",
            "{ step: b, await: go, output: { type: object }, deadline: 1h, on_deadline: continue }",
            "{ parallel: [{ step: b, command: s.v }, { step: c, await: go, deadline: 1d, on_deadline: park }] }",
        ];
        for step in good {
            let yaml = with(step);
            Definition::parse(&yaml).expect("the parser accepts it");
            assert!(accepts(&yaml), "{step}");
        }
    }

    #[test]
    fn it_rejects_what_the_parser_rejects_for_its_form() {
        let bad = [
            "{ step: b, comand: s.v }",
            "{ step: b, command: nodot }",
            "{ step: B, command: s.v }",
            "{ step: input, command: s.v }",
            "{ step: b, command: s.v, timeout: soon }",
            "{ step: b, command: s.v, timeout: 0s }",
            "{ step: b, command: s.v, timeout: 5 }",
            "{ step: b, command: s.v, stuck_after: never }",
            "{ step: b, await: go, deadline: 1h, on_deadline: park, stuck_after: 5m }",
            "{ step: b, command: s.v, pivot: 1 }",
            "{ step: b, command: s.v, deadline: 5s }",
            "{ step: b, command: s.v, input: { x: a.x } }",
            "{ step: b, command: s.v, input: { x: { default: 1 } } }",
            "{ step: b, command: s.v, when: true }",
            "{ step: b, command: s.v, when: [] }",
            "{ step: b, command: s.v, when: { path: $.a.x, equals: 1, not_equals: 2 } }",
            "{ step: b, command: s.v, retry: { attempts: 0 } }",
            "{ step: b, await: go, on_deadline: park }",
            "{ step: b, await: go, deadline: 1h }",
            "{ step: b, await: go, deadline: 1h, on_deadline: explode }",
            "{ step: b, await: go, command: s.v, deadline: 1h, on_deadline: park }",
            "{ parallel: [{ step: b, command: s.v }] }",
            "{ parallel: [{ step: b, command: s.v }, { parallel: [] }] }",
            "{ command: s.v }",
        ];
        for step in bad {
            let yaml = with(step);
            assert!(Definition::parse(&yaml).is_err(), "the parser rejects {step}");
            assert!(!accepts(&yaml), "{step}");
        }
    }
}
