//! What a check says about definitions that are wrong.

use super::*;

const CHECKOUT: &str = include_str!("../../../../../saga-definitions/checkout.v1.yaml");

/// `line:column: step: problem` of all that is wrong.
fn problems(yaml: &str) -> Vec<String> {
    let error = Definition::parse_knowing(
        yaml,
        |command| if command == "s.unheard_of" { Known::Not } else { Known::EitherWay },
    )
    .expect_err("something is wrong");
    error.problems.iter().map(Problem::to_string).collect()
}

/// Each expected text is in the problem of the same place in the list.
#[track_caller]
fn assert_problems(yaml: &str, expected: &[&str]) {
    let problems = problems(yaml);
    let told = problems.join("\n");
    assert_eq!(problems.len(), expected.len(), "{told}");
    for (problem, expected) in problems.iter().zip(expected) {
        let (place, what) = expected.split_once(' ').expect("a place and a text");
        assert!(problem.starts_with(place) && problem.contains(what), "`{expected}` is not in `{problem}` of:\n{told}");
    }
}

#[test]
fn the_shipped_checkout_is_in_order() {
    let definition = Definition::parse(CHECKOUT).expect("it is checked before it ships");
    assert_eq!(definition.stages.iter().map(std::ops::Range::len).sum::<usize>(), definition.steps.len());
    assert_eq!(definition.pivot.map(|pivot| definition.name_of(pivot)), Some("capture_payment"));
    assert_eq!(definition.index_of(FINALLY), Some(definition.steps.len()));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let yaml = "saga: Bad
version: 0
stepps: []
steps:
  - step: a
    command: nodot
    input: { x: $.late.y, z: nopath }
  - step: a
    command: s.unheard_of
    pivot: yes
    retry: { attempts: 0, tries: 3 }
  - step: pay
    command: s.pay
    pivot: true
    compensate: s.undo_pay
    output: { type: objekt }
  - step: b
    await: go
  - step: late
    command: s.v
    timeout: soon
    when: { path: $.late.x, equals: 1 }
    deadline: 5m
";
    assert_problems(
        yaml,
        &[
            "1:7: `Bad` is no name",
            "2:10: begin with 1",
            "3:1: `stepps` is no field",
            "6:14: `nodot` is no command",
            "7:17: `$.late` comes later",
            "7:30: `nopath` is no JSONPath",
            "8:11: step `a`: an earlier step has this name",
            "9:14: `s.unheard_of` is no known command",
            "10:12: `pivot` is `true` or `false`, and here is text",
            "11:24: attempts is 1 at least",
            "11:27: `tries` is no field",
            "15:17: nothing is undone from the pivot on",
            "16:13: `output`: it is no JSON Schema",
            "17:11: needs a deadline",
            "17:11: says what happens",
            "21:14: timeout `soon`",
            "22:11: this step itself",
            "23:5: `deadline` is no field",
        ],
    );
}

#[test]
fn an_input_may_not_read_a_later_step_a_sibling_or_itself() {
    let yaml = "saga: a
version: 1
steps:
  - parallel:
      - { step: one, command: s.v, input: { x: $.one.y } }
      - { step: two, command: s.v, input: { x: $.one.y } }
  - { step: three, command: s.v, input: { x: $.one.y, z: $.four.y, n: $.five.y } }
  - { step: four, command: s.v }
";
    assert_problems(
        yaml,
        &[
            "5:48: this step itself",
            "6:48: runs at the same time",
            "7:58: comes later",
            "7:71: neither `input` nor a step",
        ],
    );
}

#[test]
fn groups_and_awaits_have_rules_of_their_own() {
    let yaml = "saga: a
version: 1
steps:
  - parallel:
      - { step: lone, command: s.v, pivot: true }
    timeout: 5s
  - parallel:
      - { step: x, command: s.v }
      - parallel: [{ step: y, command: s.v }, { step: z, command: s.v }]
  - { step: both, command: s.v, await: go }
  - { step: neither }
  - { step: again, await: go, deadline: 1h, on_deadline: explode }
  - { step: twice, await: go, deadline: $.x.y, on_deadline: compensate, timeout: 1s }
finally: { command: s.v, compensate: s.u }
";
    assert_problems(
        yaml,
        &[
            "5:7: two members at least",
            "5:44: the pivot stands alone",
            "6:5: `timeout` is no field",
            "9:19: holds steps, not groups",
            "10:5: both `command` and `await`",
            "11:5: write `command: service.verb_noun`",
            "12:58: `explode` is nothing that can happen",
            "13:27: `go` is awaited already",
            "13:61: after the pivot there is no way back",
            "13:73: `timeout` is no field",
            "14:26: `compensate` is no field",
        ],
    );
}

#[test]
fn a_number_out_of_range_is_told_with_its_range_and_each_mistake_once() {
    let yaml = r#"saga: a
version: 99999999999
steps:
  - parallel: []
  - { step: x, command: s.v, retry: { factor: 0.5 }, input: { "": $.input.a } }
"#;
    assert_problems(
        yaml,
        &[
            "2:10: `version` is a whole number from 1 to 4294967295, and here is the number 99999999999",
            "4:15: `parallel` is a list with something in it, and here is an empty list",
            "5:47: `factor` is a whole number from 1 to 4294967295, and here is the number 0.5",
            "5:63: a field of input has a name",
        ],
    );
}

#[test]
fn what_can_never_be_right_is_told_wherever_it_stands() {
    let yaml = r#"saga: a
version: 2147483648
steps:
  - step: x
    command: s.v
    when: { path: $.input.a, path: $.input.b, equals: { k: 1, k: 2 } }
    output: { required: [a], required: [b] }
    input: { y: { path: $.input.a, default: { d: 1, d: 2 } } }
  - { step: y, await: go, deadline: "$.input.lines[*].until", on_deadline: park }
  - { step: z, command: s.v, input: { w: "$.input.lines[?@.sku == $.input.sku]" } }
"#;
    assert_problems(
        yaml,
        &[
            "2:10: versions end with 2147483647",
            "6:30: `path` stands here twice",
            "6:63: `k` stands here twice",
            "7:30: `required` stands here twice",
            "8:53: `d` stands here twice",
            "9:37: `$.input.lines[*].until` finds a list",
            "10:42: a filter reads the element at hand",
        ],
    );
}

/// A build that knows better must still run what an earlier one has released, as that one did.
#[test]
fn what_was_released_before_it_was_a_mistake_can_still_be_read() {
    let yaml = r#"saga: a
version: 1
steps:
  - { step: x, command: s.v, when: { path: $.input.a, path: $.input.b }, input: { w: "$.input.lines[?@.sku == $.sku]" } }
  - { step: y, await: go, deadline: "$.input.times[*]", on_deadline: park }
"#;
    assert_eq!(problems(yaml).len(), 3);
    let definition = Definition::parse_released(yaml).expect("as it was read before");
    let Value::Object(context) = serde_json::json!({"input": {"sku": "a", "lines": [{"sku": "a"}, {"sku": "b"}]}})
    else {
        unreachable!("it is an object")
    };
    let payload = definition.command_at(0).expect("a command").input.evaluate(&context);
    assert_eq!(payload["w"], serde_json::json!([{"sku": "a"}]));
}

#[test]
fn what_is_no_definition_at_all_is_one_problem() {
    assert_problems("[]", &["1:1: a definition is a map of fields, and here is an empty list"]);
    assert_problems("saga: [", &["1:7: cannot be read as YAML"]);
    assert_problems("{}", &["1:1: `saga` is missing", "1:1: `version` is missing", "1:1: `steps` is missing"]);
}
