//! That a script is held against what happened, and that a mistake in it is told.

use super::{Rehearsal, Script, rehearse};
use crate::definition::Definition;

const FLOW: &str = "
saga: flow
version: 1
steps:
  - { step: first, command: s.first, compensate: s.undo_first }
  - { step: signed, await: signed, deadline: 1h, on_deadline: compensate }
  - { step: second, command: s.second, input: { n: $.first.n, by: $.signed.by } }
";

fn play(case: &str) -> Rehearsal {
    let definition = Definition::parse(FLOW).expect("the definition is in order");
    let script = Script::parse(&format!("definition: flow.yaml\ncases:\n  - {{ case: one, {case} }}\n"));
    rehearse(&definition, &script.expect("the script is in order").cases[0])
}

#[test]
fn a_timeline_tells_everything_with_its_time() {
    let played = play(
        "replies: { first: [silent, { done: { n: 1 } }] }, then: [{ wait: 10m }, { signal: { name: signed, payload: { by: ann } } }],
           expect: { state: completed, sent: [first, second], undone: [], inputs: { second: { n: 1, by: ann } } }",
    );
    assert_eq!(played.misses, Vec::<String>::new());
    let timeline: Vec<String> = played.timeline.iter().map(ToString::to_string).collect();
    let expected = [
        "00:00:00.000  the saga begins",
        "00:00:00.000    first → s.first",
        "00:00:05.000    first → s.first, attempt 2",
        "00:00:05.000      first: done: {\"n\":1}",
        "00:10:00.000  signal signed: {\"by\":\"ann\"}",
        "00:10:00.000    second → s.second",
        "00:10:00.000  it is running",
        "00:10:00.000      second: done",
        "00:10:00.000  it is completed",
    ];
    assert_eq!(timeline, expected);
}

#[test]
fn each_expectation_can_fail() {
    let ends = "replies: { second: { refused: no } }, signals: { signed: {} }, expect: {";
    for (expectation, told) in [
        ("state: completed", "state: expected completed, and it is compensated"),
        ("state: compensated, reason: yes_of_course", "reason: expected yes_of_course, and it is no"),
        ("state: compensated, parked: first", "parked: expected first, and it is nothing"),
        ("state: compensated, undone: []", "undone: expected [], and it is [first]"),
        ("state: compensated, sent: [second]", "sent: expected [second], and it is [first, second]"),
        ("state: compensated, skipped: [first]", "skipped: expected [first], and it is []"),
        ("state: compensated, inputs: { second: { n: 1 } }", "`n` of `second`: expected 1, and it is nothing"),
        ("state: compensated, undone: [third]", "the definition has no step `third`"),
        ("state: undone", "there is no `undone`"),
    ] {
        let misses = play(&format!("{ends} {expectation} }}")).misses;
        assert!(misses.iter().any(|miss| miss.contains(told)), "`{told}` is not in {misses:?}");
    }
}

#[test]
fn what_cannot_be_fails_the_case_unless_that_is_what_it_shows() {
    for (then, word, told) in [
        ("signal: { name: singed }", "signal", "the definition awaits no signal `singed`"),
        ("reply: { step: frist, answer: done }", "reply", "the definition has no step `frist`"),
        ("resolve: { step: first, reason: why }", "resolve", "`first` is not parked"),
        ("retry: why", "retry", "nothing is out"),
        ("reply: { step: second, answer: done }", "reply", "`second` was not sent"),
    ] {
        let misses = play(&format!("then: [{{ {then} }}], expect: {{ state: waiting }}")).misses;
        assert!(misses.iter().any(|miss| miss.contains(told)), "`{told}` is not in {misses:?}");
        let expected = play(&format!("then: [{{ {then} }}], expect: {{ state: waiting, refused: [{word}] }}")).misses;
        assert!(!expected.iter().any(|miss| miss.contains("refused: ")), "{expected:?}");
    }
    let misses = play("then: [{ wait: 1m }], expect: { state: waiting, refused: [retry] }").misses;
    assert_eq!(misses, ["refused: expected [retry], and all of `then` was possible"]);
    let misses = play("signals: { singed: {} }, expect: { state: waiting }").misses;
    assert_eq!(misses, ["the definition awaits no signal `singed`"]);

    let twice = "then: [{ signal: { name: signed, payload: 1 } }, { signal: { name: signed, payload: 2 } }]";
    let misses = play(&format!("{twice}, expect: {{ state: completed }}")).misses;
    assert!(misses[0].contains("it has come before, with another payload"), "{misses:?}");
    assert!(play(&format!("{twice}, expect: {{ state: completed, refused: [signal] }}")).misses.is_empty());
    for (script, told) in [
        ("replies: { signed: done }, expect: { state: waiting }", "`signed` awaits a signal"),
        ("undo_replies: { second: done }, expect: { state: waiting }", "`second` has nothing that undoes it"),
        ("expect: { state: waiting, inputs: { second: {} } }", "`second` was never sent"),
    ] {
        let misses = play(script).misses;
        assert!(misses.iter().any(|miss| miss.contains(told)), "`{told}` is not in {misses:?}");
    }
}

#[test]
fn a_saga_that_is_expected_to_wait_is_left_waiting() {
    let played = play("expect: { state: waiting }");
    assert!(played.misses.is_empty(), "{:?}", played.misses);
    assert!(play("expect: { state: compensated, reason: deadline_passed, undone: [first] }").misses.is_empty());
}

#[test]
fn a_mistake_in_a_script_is_told_with_its_line() {
    for (case, told) in [
        ("replies: { first: dnoe }", "no answer"),
        ("replies: { first: [] }", "an empty list"),
        ("then: [{ wait: soon }]", "no duration"),
        ("then: [{ explode: now }]", "explode"),
        ("expects: {}", "expects"),
    ] {
        let script =
            format!("definition: flow.yaml\ncases:\n  - case: one\n    expect: {{ state: completed }}\n    {case}\n");
        let error = Script::parse(&script).expect_err(case);
        assert!(error.contains(told) && error.contains("line 5"), "{case}: {error}");
    }
}
