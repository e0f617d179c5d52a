//! What is told to a saga that waits for a person, again and again, and what of it is still there when it is read back.

use makegood_saga::context::Context;

use super::{
    operators::{trip, until},
    *,
};

const GROUP_PAST_PIVOT: &str = "
saga: group
version: 1
steps:
  - { step: pay, command: bank.charge, pivot: true }
  - parallel:
      - { step: left, command: shop.send_left }
      - { step: right, command: shop.send_right }
";

fn no() -> Outcome {
    Outcome::refused("no", "never")
}

fn resolve(step: &str, output: Value) -> Event {
    Event::Resolved { step: step.to_owned(), actor: "ann".to_owned(), reason: "seen in the books".to_owned(), output }
}

/// The same answer, told once more, is no news: not a row of the log, and no change.
fn is_known(play: &mut Play, step: &str, direction: Direction, outcome: Outcome) {
    let before = play.state.clone();
    assert_eq!(play.reply(step, direction, outcome), Verdict::Ignored, "{step}");
    assert_eq!(play.state, before, "{step}");
}

#[test]
fn a_no_where_there_is_no_way_back_parks_once_however_often_it_is_told() {
    let definition = trip();
    for step in ["ticket", FINALLY] {
        let mut play = until(&definition, step, Direction::Do);
        assert_eq!(play.reply(step, Direction::Do, no()), Verdict::Moved);
        assert_eq!(play.state.condition(), Condition::Parked, "{step}");
        is_known(&mut play, step, Direction::Do, no());
    }
}

#[test]
fn an_undo_that_cannot_be_done_parks_once_however_often_it_says_so() {
    let definition = trip();
    let mut play = until(&definition, "charge", Direction::Do);
    play.reply("charge", Direction::Do, no());
    assert_eq!(play.reply("room", Direction::Undo, Outcome::defect("burnt down")), Verdict::Moved);
    assert_eq!(play.state.condition(), Condition::Parked);
    is_known(&mut play, "room", Direction::Undo, Outcome::defect("burnt down"));
}

#[test]
fn a_sibling_that_needs_a_person_too_says_so_once_and_has_its_turn() {
    let definition = Definition::parse(GROUP_PAST_PIVOT).expect("in order");
    for outcome in [no(), Outcome::defect("broken")] {
        let mut play = Play::with_signals(&definition, BTreeMap::new());
        play.run(|send| (send.step == "pay").then(Outcome::done));
        for step in ["left", "right"] {
            assert_eq!(play.reply(step, Direction::Do, outcome.clone()), Verdict::Moved, "{step}");
            is_known(&mut play, step, Direction::Do, outcome.clone());
        }
        assert_eq!(play.feed(&resolve("left", Value::Null)), Verdict::Moved);
        play.outbox.clear();
        let why = play.state.steps[2].needs_person.clone();
        assert!(play.wait(), "the sibling is due");
        assert!(play.outbox.is_empty(), "it has answered");
        let parked = play.state.parked.as_ref().expect("parked too");
        assert_eq!((parked.step.as_str(), Some(&parked.why)), ("right", why.as_ref()));
    }
}

/// However few attempts it has left: it has answered, and was not silent.
#[test]
fn a_defect_beside_a_parked_sibling_parks_too_and_turns_nothing_around() {
    let yaml = "
saga: group
version: 1
steps:
  - parallel:
      - { step: left, command: shop.pack_left, compensate: shop.unpack_left }
      - { step: right, command: shop.pack_right, compensate: shop.unpack_right, retry: { attempts: 1 } }
";
    let definition = Definition::parse(yaml).expect("in order");
    let both_broken = || {
        let mut play = Play::with_signals(&definition, BTreeMap::new());
        for step in ["left", "right"] {
            play.reply(step, Direction::Do, Outcome::defect(format!("{step} is broken")));
        }
        play
    };
    let mut play = both_broken();
    play.feed(&resolve("left", Value::Null));
    assert!(play.wait());
    let parked = play.state.parked.as_ref().expect("parked");
    assert_eq!((parked.step.as_str(), parked.why.as_str()), ("right", "right is broken"));

    let (actor, reason) = ("ann".to_owned(), "enough".to_owned());
    let mut play = both_broken();
    assert_eq!(play.feed(&Event::CancelledByOperator { actor, reason }), Verdict::Moved);
    play.run(|send| (send.direction == Direction::Undo).then(Outcome::done));
    assert_eq!(play.state.condition(), Condition::Compensated, "nobody is waited for once it is called off");
    assert_eq!(play.commands(Direction::Undo), ["left", "right"]);
}

/// Whoever needs a person says so before it is called off, or after.
#[test]
fn a_saga_that_is_called_off_asks_nobody_about_what_cannot_be_done() {
    let definition = trip();
    let called_off = Event::Cancelled { code: "cancelled".into(), detail: "kept after all".into() };
    let mut play = until(&definition, "room", Direction::Do);
    assert_eq!(play.feed(&called_off), Verdict::Moved);
    assert_eq!(play.reply("room", Direction::Do, Outcome::defect("broken")), Verdict::Moved);
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Compensated);
    assert!(play.commands(Direction::Undo).contains(&"room"), "it may have taken effect");
}

/// It was parked before its first step, which is the pivot, or beside which others of the group have not begun either.
#[test]
fn a_saga_that_could_not_begin_can_be_cancelled_whatever_its_first_stage_is() {
    let group =
        "parallel: [{ step: left, command: s.left, compensate: s.undo_left }, { step: right, command: s.right }]";
    let pivot = "{ step: pay, command: s.pay, pivot: true }";
    let (actor, reason) = ("ann".to_owned(), "too large".to_owned());
    for first in [group, pivot] {
        for ends in [
            Event::CancelledByOperator { actor: actor.clone(), reason: reason.clone() },
            Event::CompensationForced { actor: actor.clone(), reason: reason.clone() },
            Event::Cancelled { code: "cancelled".to_owned(), detail: String::new() },
        ] {
            let yaml = format!(
                "saga: a\nversion: 1\nsteps:\n  - {first}\n  - {{ step: last, command: s.last }}\nfinally: {{ command: s.close }}\n"
            );
            let definition = Definition::parse(&yaml).expect("in order");
            let input = Value::String("x".repeat(makegood_saga::context::LIMIT));
            let state = State::new(&definition, Uuid::from_u128(7), input, BTreeMap::new());
            let mut play =
                Play { definition: &definition, state, now: T0, sent: Vec::new(), outbox: Vec::new(), tells: 0 };
            play.feed(&Event::Started);
            assert_eq!(play.state.condition(), Condition::Parked);
            assert_eq!(play.feed(&ends), Verdict::Moved);
            play.run(done);
            assert_eq!((play.state.condition(), play.commands(Direction::Do)), (Condition::Compensated, vec![FINALLY]));
        }
    }
}

/// What the log's events say of outputs, as services/orchestrator reads it: the first one of a step.
fn read_back(play: &Play, definition: &Definition, logged: &[Event]) -> State {
    let mut outputs = Context::default();
    for event in logged {
        if let Event::Resolved { step, output, .. } = event {
            outputs.add(step.clone(), output.clone());
        }
    }
    let mut state: State = serde_json::from_value(json!(play.state)).expect("it is JSON");
    state.restore(definition, play.state.saga_id, play.state.context["input"].clone(), outputs);
    state
}

#[test]
fn what_an_operator_says_of_an_undo_is_read_back_as_it_was_written() {
    let definition = trip();
    let mut play = until(&definition, "room", Direction::Do);
    // Turned around while it is out: nobody knows an output of it.
    play.feed(&Event::CompensationForced { actor: "ann".to_owned(), reason: "the carrier is down".to_owned() });
    play.reply("room", Direction::Undo, Outcome::defect("burnt down"));
    let settled = resolve("room", json!({"seen": "ashes"}));
    assert_eq!(play.feed(&settled), Verdict::Moved);
    let read = read_back(&play, &definition, &[settled]);
    assert_eq!(read.context["room"], play.state.context["room"]);
}

#[test]
fn an_output_by_hand_outlives_the_signal_that_could_not_be_taken_in() {
    let definition = trip();
    let mut play = until(&definition, "room", Direction::Do);
    let settled = resolve("consent", json!({"by": "hand"}));
    play.state.context.insert("consent".to_owned(), json!({"by": "hand"}));
    let read = read_back(&play, &definition, &[settled]);
    assert_eq!(read.context["consent"], json!({"by": "hand"}));
}

#[test]
fn a_failure_that_cannot_be_retried_parks_and_an_operators_retry_goes_on() {
    let definition = checkout();
    let mut play = Play::new(&definition);
    play.run(|send| match send.step.as_str() {
        "create_shipments" => Some(Outcome::defect("the output makes no sense")),
        _ => done(send),
    });
    assert_eq!(play.state.condition(), Condition::Parked);
    assert_eq!(play.state.wake_at(), None);
    assert_eq!(play.feed(&Event::Retried { actor: "ann".into(), reason: "mended".into() }), Verdict::Moved);
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Completed);
}

#[test]
fn a_failure_that_comes_late_leaves_a_parked_step_to_the_operator() {
    let definition = checkout();
    let mut play = Play::new(&definition);
    play.run(|send| match send.step.as_str() {
        "create_shipments" => Some(Outcome::defect("the output makes no sense")),
        _ => done(send),
    });
    let parked = play.state.clone();
    // Were one of them counted, the step might be given up: retried and done, the saga would call itself compensated.
    for _ in 0..20 {
        assert_eq!(play.reply("create_shipments", Direction::Do, Outcome::retry("not now")), Verdict::Ignored);
    }
    assert_eq!(play.state, parked);
    play.feed(&Event::Retried { actor: "ann".into(), reason: "mended".into() });
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Completed);
}

#[test]
fn siblings_that_need_an_operator_are_parked_one_after_the_other() {
    let definition = checkout();
    let mut play = Play::new(&definition);
    play.run(|send| match send.step.as_str() {
        "commit_stock" | "close_cart" => Some(Outcome::refused("no", "the books are away")),
        _ => done(send),
    });
    for step in ["commit_stock", "close_cart"] {
        while play.state.parked.is_none() {
            assert!(play.wait(), "{step} is not forgotten");
            play.run(|_| Some(Outcome::refused("no", "the books are away")));
        }
        assert_eq!(play.state.current_step(&definition), Some(step));
        let settled =
            Event::Resolved { step: step.into(), actor: "ann".into(), reason: "by hand".into(), output: Value::Null };
        assert_eq!(play.feed(&settled), Verdict::Moved);
    }
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Completed);
}
