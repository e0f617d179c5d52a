//! Steps that are skipped, and outputs that are not accepted, against the transition function.

use std::collections::BTreeMap;

use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::{
    context,
    definition::Definition,
    effect::Effect,
    event::Event,
    state::{Condition, State, Status},
    transition::{Transition, Verdict, transition},
};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00:00 UTC);

/// One saga, and all that it has sent.
struct Saga {
    definition: Definition,
    state: State,
    sent: Vec<(String, Direction)>,
}

impl Saga {
    fn started(yaml: &str, input: Value) -> Self {
        let definition = Definition::parse(yaml).expect("the definition is in order");
        let state = State::new(&definition, Uuid::nil(), input, BTreeMap::new());
        let mut saga = Self { definition, state, sent: Vec::new() };
        assert_eq!(saga.feed(&Event::Started).verdict, Verdict::Moved);
        saga
    }

    fn feed(&mut self, event: &Event) -> Transition {
        let moved = transition(&self.definition, self.state.clone(), event, NOW);
        self.state = moved.state.clone();
        self.sent.extend(moved.effects.iter().filter_map(|effect| match effect {
            Effect::Send(send) => Some((send.step.clone(), send.direction)),
            Effect::Tell { .. } | Effect::Finish => None,
        }));
        moved
    }

    fn reply(&mut self, step: &str, direction: Direction, output: Value) -> Transition {
        let outcome = Outcome::Done { output };
        self.feed(&Event::Replied { step: step.to_owned(), direction, attempt: 1, outcome })
    }

    fn done(&mut self, step: &str, output: Value) -> Transition {
        self.reply(step, Direction::Do, output)
    }

    fn status(&self, step: &str) -> Status {
        self.state.steps[self.definition.index_of(step).expect("a step")].status
    }

    fn sent(&self, direction: Direction) -> Vec<&str> {
        self.sent.iter().filter(|(_, sent)| *sent == direction).map(|(step, _)| step.as_str()).collect()
    }
}

const CONDITIONAL: &str = "
saga: conditional
version: 1
steps:
  - { step: price, command: s.price }
  - { step: ship, command: s.ship, compensate: s.unship, when: $.price.requires_shipping }
  - { step: inspected, await: inspected, deadline: 1h, on_deadline: compensate, when: $.input.inspect }
  - parallel:
      - { step: wrap, command: s.wrap, compensate: s.unwrap, when: { path: $.price.gift, equals: true } }
      - { step: insure, command: s.insure, when: { path: $.price.insured, equals: true } }
  - { step: pay, command: s.pay, pivot: true, input: { parcel: { path: $.ship.id, default: none } } }
";

#[test]
fn a_step_whose_condition_does_not_hold_is_skipped_and_has_no_output() {
    let mut saga = Saga::started(CONDITIONAL, json!({}));
    saga.done("price", json!({"requires_shipping": false}));
    for step in ["ship", "inspected", "wrap", "insure"] {
        assert_eq!(saga.status(step), Status::Skipped, "{step}");
        assert!(!saga.state.context.contains_key(step), "{step}");
    }
    assert_eq!(saga.sent(Direction::Do), ["price", "pay"], "a stage of which nothing is left is passed");
    let pay = saga.definition.command_at(5).expect("a command");
    assert_eq!(Value::Object(pay.input.evaluate(&saga.state.context)), json!({"parcel": "none"}));
    saga.done("pay", Value::Null);
    assert_eq!(saga.state.condition(), Condition::Completed);
}

#[test]
fn members_of_a_group_are_skipped_one_by_one_and_what_was_skipped_is_not_undone() {
    let mut saga = Saga::started(CONDITIONAL, json!({"inspect": true}));
    saga.done("price", json!({"requires_shipping": true, "insured": true}));
    saga.done("ship", json!({"id": "parcel"}));
    assert_eq!(saga.status("inspected"), Status::Waiting);
    saga.feed(&Event::Signalled { signal: "inspected".into(), payload: Value::Null, by: None });
    assert_eq!((saga.status("wrap"), saga.status("insure")), (Status::Skipped, Status::Sent));
    saga.done("insure", Value::Null);
    let outcome = Outcome::refused("declined", "");
    saga.feed(&Event::Replied { step: "pay".into(), direction: Direction::Do, attempt: 1, outcome });
    assert_eq!(saga.sent(Direction::Undo), ["ship"]);
    saga.reply("ship", Direction::Undo, Value::Null);
    assert_eq!(saga.state.condition(), Condition::Compensated);
}

#[test]
fn the_check_refuses_an_input_that_may_be_absent_and_has_no_default() {
    let without = CONDITIONAL.replace("{ path: $.ship.id, default: none }", "$.ship.id");
    let problems = Definition::parse(&without).expect_err("a default is missing").problems;
    assert!(problems.len() == 1 && problems[0].problem.contains("may be skipped"), "{problems:?}");
    let passed_over = "
saga: a
version: 1
steps:
  - { step: signed, await: signed, deadline: 1h, on_deadline: continue }
  - { step: file, command: s.file, input: { by: $.signed.by } }
";
    assert!(Definition::parse(passed_over).is_err(), "an await that may be passed over has no output either");
}

const STRICT: &str = "
saga: strict
version: 1
steps:
  - { step: first, command: s.first, compensate: s.undo_first }
  - step: pay
    command: s.pay
    compensate: s.refund
    output: { type: object, required: [id], properties: { id: { type: string } } }
  - { step: capture, command: s.capture, pivot: true, input: { id: $.pay.id }, output: { required: [at], type: object } }
";

/// Does what an operator may do about an output that was not accepted.
fn resolved(step: &str, output: Value) -> Event {
    Event::Resolved { step: step.into(), actor: "ann".into(), reason: "by hand".into(), output }
}

#[test]
fn an_output_that_does_not_match_its_schema_parks_the_saga_and_is_not_merged() {
    let mut saga = Saga::started(STRICT, json!({}));
    saga.done("first", Value::Null);
    let moved = saga.done("pay", json!({"id": 7}));
    assert_eq!(moved.verdict, Verdict::Moved);
    let parked = saga.state.parked.clone().expect("parked");
    assert!(parked.step == "pay" && parked.why.contains("/id: ") && parked.why.contains("schema"), "{parked:?}");
    assert!(!saga.state.context.contains_key("pay"));
    // The log says what it counts as, so what is read back from the log is the context.
    assert!(matches!(moved.logged, Some(Event::Replied { outcome: Outcome::Failed { retryable: false, .. }, .. })));
    assert_eq!(saga.done("pay", json!({"id": 7})).verdict, Verdict::Ignored, "told twice");
    assert!(matches!(saga.feed(&resolved("pay", json!({}))).verdict, Verdict::Refused(_)), "by hand neither");
    saga.done("pay", json!({"id": "x"}));
    assert_eq!((saga.state.condition(), saga.status("pay")), (Condition::Running, Status::Done));
}

#[test]
fn before_the_pivot_an_unaccepted_step_can_be_undone_and_from_it_on_only_settled() {
    let mut saga = Saga::started(STRICT, json!({}));
    saga.done("first", Value::Null);
    saga.done("pay", Value::Null);
    let force = Event::CompensationForced { actor: "ann".into(), reason: "a defect".into() };
    assert_eq!(saga.feed(&force).verdict, Verdict::Moved);
    assert_eq!(saga.sent(Direction::Undo), ["pay"], "it took effect, so it is undone");

    let mut saga = Saga::started(STRICT, json!({}));
    saga.done("first", Value::Null);
    saga.done("pay", json!({"id": "x"}));
    saga.done("capture", Value::Null);
    assert_eq!(saga.state.condition(), Condition::Parked);
    assert!(matches!(saga.feed(&force).verdict, Verdict::Refused(_)));
    assert_eq!(saga.feed(&resolved("capture", json!({"at": "noon"}))).verdict, Verdict::Moved);
    assert_eq!(saga.state.condition(), Condition::Completed);
}

#[test]
fn a_context_does_not_grow_past_its_limit() {
    let large = Value::String("x".repeat(context::LIMIT * 2 / 3));
    let mut saga = Saga::started(STRICT, json!({}));
    saga.done("first", large.clone());
    let before = saga.state.context.clone();
    saga.done("pay", json!({"id": large}));
    let parked = saga.state.parked.clone().expect("parked");
    assert!(parked.step == "pay" && parked.why.contains(&context::LIMIT.to_string()), "{parked:?}");
    assert_eq!(saga.state.context, before);
    saga.done("pay", json!({"id": "x"}));
    assert_eq!(saga.status("capture"), Status::Sent);
}

#[test]
fn an_input_or_a_signal_past_the_limit_is_not_taken_either() {
    let large = Value::String("x".repeat(context::LIMIT));
    let saga = Saga::started(STRICT, large.clone());
    assert_eq!((saga.state.condition(), saga.sent.len()), (Condition::Parked, 0));
    let mut saga = saga;
    let (actor, reason) = ("ann".to_owned(), "why".to_owned());
    let retried = Event::Retried { actor: actor.clone(), reason: reason.clone() };
    let skipped = Event::StepSkipped {
        step: "first".to_owned(),
        actor: actor.clone(),
        reason: reason.clone(),
        output: Value::Null,
    };
    for futile in [retried, skipped] {
        let told = saga.feed(&futile).verdict;
        assert!(matches!(&told, Verdict::Refused(why) if why.contains("Cancel it")), "{told:?}");
        assert_eq!(saga.state.condition(), Condition::Parked, "it stays in sight");
    }
    assert_eq!(saga.feed(&Event::CancelledByOperator { actor, reason }).verdict, Verdict::Moved);
    assert_eq!((saga.state.condition(), saga.sent.len()), (Condition::Compensated, 0));

    let awaiting = "
saga: a
version: 1
steps:
  - { step: signed, await: signed, deadline: 1h, on_deadline: compensate }
";
    let mut saga = Saga::started(awaiting, json!({}));
    let signal = |payload: Value| Event::Signalled { signal: "signed".into(), payload, by: None };
    assert!(matches!(saga.feed(&signal(large)).verdict, Verdict::Refused(_)));
    assert_eq!(saga.feed(&signal(json!("ann"))).verdict, Verdict::Moved);
    assert_eq!(saga.state.condition(), Condition::Completed);
}

#[test]
fn a_signal_must_look_as_its_step_says() {
    let awaiting = "
saga: a
version: 1
steps:
  - { step: price, command: shop.price }
  - step: signed
    await: signed
    output: { type: object, required: [by], properties: { by: { type: string } } }
    deadline: 1h
    on_deadline: compensate
";
    let mut saga = Saga::started(awaiting, json!({}));
    let signal = |payload: Value| Event::Signalled { signal: "signed".into(), payload, by: None };
    let is_refused = |verdict: Verdict| matches!(verdict, Verdict::Refused(why) if why.contains("does not match"));
    assert!(is_refused(saga.feed(&signal(json!({"by": 7}))).verdict), "early ones too: a kept one is the first one");
    saga.done("price", Value::Null);
    assert!(is_refused(saga.feed(&signal(json!({}))).verdict));
    assert_eq!(saga.status("signed"), Status::Waiting, "it waits on");
    assert_eq!(saga.feed(&signal(json!({"by": "ann"}))).verdict, Verdict::Moved);
    assert_eq!(saga.state.condition(), Condition::Completed);
}

#[test]
fn a_signal_that_came_with_the_beginning_and_does_not_match_parks_until_another_comes() {
    let awaiting = "
saga: a
version: 1
steps:
  - { step: signed, await: signed, output: { type: string }, deadline: 1h, on_deadline: compensate }
";
    let definition = Definition::parse(awaiting).expect("in order");
    let signals = [("signed".to_owned(), json!(7))].into_iter().collect();
    let state = State::new(&definition, Uuid::now_v7(), json!({}), signals);
    let now = OffsetDateTime::UNIX_EPOCH;
    let parked = transition(&definition, state, &Event::Started, now).state;
    assert_eq!(parked.condition(), Condition::Parked);
    let signal = Event::Signalled { signal: "signed".into(), payload: json!("ann"), by: None };
    let ended = transition(&definition, parked, &signal, now).state;
    assert_eq!(ended.condition(), Condition::Completed);
    assert_eq!(ended.context["signed"], json!("ann"));
}
