//! Steps and sagas that wait for somebody outside: for how long, who is told, and what ends it.

use makegood_saga::definition::pending_name;

use super::*;

#[test]
fn a_pending_step_is_told_of_and_asked_again_until_its_patience_ends() {
    let definition = checkout();
    let pending = |send: &Send| match (send.step.as_str(), send.direction) {
        ("authorize_payment", Direction::Do) => {
            Some(Outcome::Pending { reason: "requires_action".into(), detail: json!({}) })
        }
        _ => done(send),
    };
    let mut play = Play::new(&definition);
    play.run(pending);
    assert_eq!(play.state.condition(), Condition::Waiting);
    assert_eq!(play.tells, 1);
    while !play.state.phase.has_ended() && play.wait() {
        play.run(pending);
    }
    assert_eq!(play.state.condition(), Condition::Compensated);
    assert!(play.tells > 10, "told again with each asking");
    assert_eq!(play.state.reasons[0].code, "deadline_passed");

    let mut decided = Play::new(&definition);
    decided.run(pending);
    decided.reply("authorize_payment", Direction::Do, Outcome::done());
    decided.run(done);
    assert_eq!(decided.state.condition(), Condition::Completed);
}

#[test]
fn a_saga_that_is_called_off_does_not_wait_for_whoever_is_outside() {
    let definition = checkout();
    let is_authorization = |send: &Send| send.step == "authorize_payment" && send.direction == Direction::Do;
    let pending = || Outcome::Pending { reason: "3ds".into(), detail: json!({}) };
    let called_off = || Event::Cancelled { code: "cancelled".into(), detail: "kept after all".into() };
    // Pending before it is called off, and only afterwards.
    for is_pending_first in [true, false] {
        let mut play = Play::new(&definition);
        play.run(|send| if is_authorization(send) { None } else { done(send) });
        if is_pending_first {
            play.reply("authorize_payment", Direction::Do, pending());
            assert_eq!(play.feed(&called_off()), Verdict::Moved);
        } else {
            assert_eq!(play.feed(&called_off()), Verdict::Moved);
            assert!(play.commands(Direction::Undo).is_empty(), "what is out is waited for");
            play.reply("authorize_payment", Direction::Do, pending());
        }
        assert_eq!(play.state.condition(), Condition::Compensating);
        assert!(play.commands(Direction::Undo).contains(&"authorize_payment"), "it may have taken effect");
        assert_eq!(play.tells, usize::from(is_pending_first), "nobody is sent to their bank for nothing");
        play.run(done);
        assert_eq!(play.state.condition(), Condition::Compensated);
        // The buyer passes after all: the void has seen to that.
        assert_eq!(play.reply("authorize_payment", Direction::Do, Outcome::done()), Verdict::Ignored);
    }
}

#[test]
fn what_is_answered_to_being_told_of_a_pending_step_changes_nothing() {
    let definition = checkout();
    let told = |step: &str| pending_name(step);
    let mut play = Play::new(&definition);
    play.run(|send| if send.step == "authorize_payment" { None } else { done(send) });
    play.reply("authorize_payment", Direction::Do, Outcome::Pending { reason: "3ds".into(), detail: json!({}) });
    let before = play.state.clone();
    for outcome in [Outcome::done(), Outcome::refused("no", "such checkout"), Outcome::defect("broken")] {
        assert_eq!(play.reply(&told("authorize_payment"), Direction::Do, outcome), Verdict::Ignored);
    }
    assert_eq!(play.state, before);
    // A step of which nobody is told is never answered so.
    assert!(matches!(play.reply(&told("hold_stock"), Direction::Do, Outcome::done()), Verdict::Unexpected(_)));
    play.reply("authorize_payment", Direction::Do, Outcome::done());
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Completed);
    assert_eq!(play.reply(&told("authorize_payment"), Direction::Do, Outcome::done()), Verdict::Ignored);
}

#[test]
fn a_short_patience_with_a_pending_step_ends_when_it_says() {
    let yaml = "saga: a\nversion: 1\nsteps:\n  - { step: b, command: s.b, pending_deadline: 20s }\n";
    let definition = Definition::parse(yaml).expect("in order");
    let mut play = Play::new(&definition);
    play.reply("b", Direction::Do, Outcome::Pending { reason: "somebody".into(), detail: json!({}) });
    assert_eq!(play.state.wake_at(), Some(T0 + Duration::seconds(20)));
    play.wait();
    assert_eq!(play.state.condition(), Condition::Compensated);

    // Parked for it, and retried by an operator: it has its patience again.
    let definition = Definition::parse(&yaml.replace("20s }", "20s, pivot: true }")).expect("in order");
    let pending = || Outcome::Pending { reason: "somebody".into(), detail: json!({}) };
    let mut play = Play::new(&definition);
    play.reply("b", Direction::Do, pending());
    play.wait();
    assert_eq!(play.state.condition(), Condition::Parked);
    play.feed(&Event::Retried { actor: "a".into(), reason: "the bank is back".into() });
    play.reply("b", Direction::Do, pending());
    assert_eq!(play.state.wake_at(), Some(play.now + Duration::seconds(20)));
}

#[test]
fn a_deadline_is_a_time_that_every_clock_can_show_or_the_saga_parks() {
    let yaml =
        "saga: a\nversion: 1\nsteps:\n  - { step: go, await: go, deadline: $.input.until, on_deadline: compensate }\n";
    let definition = Definition::parse(yaml).expect("in order");
    let begun = |until: &str| {
        let state = State::new(&definition, Uuid::from_u128(7), json!({"until": until}), BTreeMap::new());
        transition(&definition, state, &Event::Started, T0).state
    };
    assert_eq!(begun("9999-12-31T23:59:59Z").wake_at(), Some(datetime!(9999-12-31 23:59:59 UTC)));
    assert_eq!(begun("0001-01-01T00:00:00Z").condition(), Condition::Waiting);
    for none in ["9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59", "0000-12-31T00:00:00Z", "tomorrow", ""] {
        assert_eq!(begun(none).condition(), Condition::Parked, "{none}");
    }
}

fn pending() -> Outcome {
    Outcome::Pending { reason: "somebody".into(), detail: json!({}) }
}

/// Whatever the definition has of a pivot: `finally` is never given up on, and never turns a saga around.
#[test]
fn a_finally_that_stays_pending_parks_and_can_be_settled() {
    let yaml = "
saga: short
version: 1
steps:
  - { step: one, command: shop.do_one, compensate: shop.undo_one }
finally: { command: shop.close }
";
    let definition = Definition::parse(yaml).expect("in order");
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    let waits = |send: &Send| Some(if send.step == FINALLY { pending() } else { Outcome::done() });
    play.run(waits);
    while play.state.parked.is_none() {
        assert!(play.wait(), "it is not forgotten");
        play.run(waits);
    }
    assert!(play.state.reasons.is_empty(), "nothing was refused");
    let settled = Event::Resolved {
        step: FINALLY.to_owned(),
        actor: "ann".to_owned(),
        reason: "closed by hand".to_owned(),
        output: Value::Null,
    };
    assert_eq!(play.feed(&settled), Verdict::Moved);
    assert_eq!(play.state.condition(), Condition::Completed);
}

/// Patience that has ended and is granted anew ends once more, also when nobody answers any more.
#[test]
fn a_step_that_parked_for_being_pending_has_an_end_again_when_it_is_retried() {
    let definition = checkout();
    let mut play = Play::new(&definition);
    play.run(|send| if send.step == "capture_payment" { Some(pending()) } else { done(send) });
    while play.state.parked.is_none() {
        assert!(play.wait());
        play.run(|_| None);
    }
    for answers in [true, false] {
        let (actor, reason) = ("ann".to_owned(), "they are back".to_owned());
        assert_eq!(play.feed(&Event::Retried { actor, reason }), Verdict::Moved);
        if answers {
            assert_eq!(play.reply("capture_payment", Direction::Do, pending()), Verdict::Moved, "it is news");
        }
        let mut rounds = 0;
        while play.state.parked.is_none() {
            assert!(play.wait() && rounds < 1_000, "it parks again");
            rounds += 1;
        }
    }
}

/// A long timeout is for answers, and does not lengthen somebody's patience.
#[test]
fn a_pending_step_is_waited_for_until_its_own_deadline_however_long_an_answer_may_take() {
    let yaml = "
saga: slow
version: 1
steps:
  - { step: ask, command: shop.ask, compensate: shop.withdraw, timeout: 1h, pending_deadline: 15m }
";
    let definition = Definition::parse(yaml).expect("in order");
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.reply("ask", Direction::Do, pending());
    while play.state.reasons.is_empty() {
        assert!(play.wait());
    }
    assert_eq!(play.now, T0 + Duration::minutes(15));
}
