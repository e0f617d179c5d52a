//! What was done stays known until it is undone, whatever operators and contradicting participants do meanwhile.

use super::*;

fn who() -> (String, String) {
    ("ann".to_owned(), "it must go on".to_owned())
}

fn skip(step: &str, output: Value) -> Event {
    let (actor, reason) = who();
    Event::StepSkipped { step: step.to_owned(), actor, reason, output }
}

fn parse(yaml: &str) -> Definition {
    Definition::parse(yaml).expect("in order")
}

const STRICT: &str = "
saga: trip
version: 1
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat, output: { type: object, required: [number] } }
  - { step: pay, command: bank.pay, input: { seat: { path: $.seat.number, default: none } } }
";

/// Its participant has said done, only not well: skipped, it is not forgotten.
#[test]
fn a_step_that_took_effect_and_was_skipped_is_undone() {
    let definition = parse(STRICT);
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.reply("seat", Direction::Do, Outcome::Done { output: json!({}) });
    assert_eq!(play.state.condition(), Condition::Parked);
    assert_eq!(play.feed(&skip("seat", Value::Null)), Verdict::Moved);
    assert_eq!(play.commands(Direction::Do), ["seat", "pay"], "it goes on");
    play.reply("pay", Direction::Do, Outcome::refused("declined", ""));
    assert_eq!(play.commands(Direction::Undo), ["seat"]);
    play.reply("seat", Direction::Undo, Outcome::done());
    assert_eq!(play.state.condition(), Condition::Compensated);
}

#[test]
fn a_step_that_was_skipped_without_a_stand_in_has_no_output() {
    let definition = parse(STRICT);
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    assert_eq!(play.feed(&skip("seat", Value::Null)), Verdict::Moved);
    assert!(!play.state.context.contains_key("seat"));
    let pay = definition.command_at(1).expect("a command");
    assert_eq!(Value::Object(pay.input.evaluate(&play.state.context)), json!({"seat": "none"}));
}

/// The context is read back from the log: both must have the same of an output that nobody waited for.
#[test]
fn a_done_that_contradicts_leaves_the_same_in_the_context_and_in_the_log() {
    let definition = parse(
        "
saga: trip
version: 1
steps:
  - parallel:
      - { step: seat, command: train.hold_seat, output: { type: object } }
      - { step: room, command: inn.hold_room }
",
    );
    let done = |output: Value| Event::Replied {
        step: "seat".to_owned(),
        direction: Direction::Do,
        attempt: 1,
        outcome: Outcome::Done { output },
    };
    let mut refused = Play::with_signals(&definition, BTreeMap::new());
    refused.reply("seat", Direction::Do, Outcome::refused("full", ""));
    let mut skipped = Play::with_signals(&definition, BTreeMap::new());
    skipped.feed(&skip("seat", Value::Null));
    let mut stood_in = Play::with_signals(&definition, BTreeMap::new());
    stood_in.feed(&skip("seat", json!({"number": 1})));
    for (play, kept) in
        [(&refused, json!({"number": 7})), (&skipped, json!({"number": 7})), (&stood_in, json!({"number": 1}))]
    {
        let mut from_log = play.state.context.clone();
        for (said, kept) in [(json!({"number": 7}), &kept), (json!("misshapen"), &kept)] {
            let is_fit = said.is_object();
            let told = transition(&definition, play.state.clone(), &done(said.clone()), T0);
            assert!(matches!(told.verdict, Verdict::Conflict(_)), "{:?}", told.verdict);
            let logged = told.logged.unwrap_or_else(|| done(said));
            let mut read_back = from_log.clone();
            read_back.learn(logged);
            assert_eq!(read_back, told.state.context, "as it comes back");
            if is_fit {
                assert_eq!(told.state.context["seat"], *kept);
                from_log = play.state.context.clone();
            }
        }
    }
}

#[test]
fn a_group_that_turns_around_awaits_no_signal() {
    let definition = parse(
        "
saga: trip
version: 1
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat }
  - parallel:
      - { step: room, command: inn.hold_room }
      - { step: consent, await: consent, deadline: 30d, on_deadline: park }
",
    );
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.reply("seat", Direction::Do, Outcome::done());
    play.reply("room", Direction::Do, Outcome::refused("full", ""));
    assert_eq!(play.commands(Direction::Undo), ["seat"], "at once, and not in a month");
    play.reply("seat", Direction::Undo, Outcome::done());
    assert_eq!(play.state.condition(), Condition::Compensated);
}

/// Whoever began it calls it off, and it needs nobody any more; in whichever order the two come.
#[test]
fn a_parked_saga_that_is_called_off_turns_around() {
    let definition = parse(STRICT);
    let cancelled = Event::Cancelled { code: "cancelled".into(), detail: "the buyer changed her mind".into() };
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.reply("seat", Direction::Do, Outcome::defect("nonsense"));
    assert_eq!(play.state.condition(), Condition::Parked);
    assert_eq!(play.feed(&cancelled), Verdict::Moved);
    assert_eq!(play.commands(Direction::Undo), ["seat"], "it may have taken effect");
    play.reply("seat", Direction::Undo, Outcome::done());
    assert_eq!(play.state.condition(), Condition::Compensated);
    assert_eq!(play.state.reasons[0].code, "cancelled");
}

/// Parked before its first step, since its input is too large: nothing of it may run.
#[test]
fn a_saga_that_cannot_begin_is_neither_settled_by_hand_nor_moved() {
    let definition = parse(STRICT);
    let input = Value::String("x".repeat(makegood_saga::context::LIMIT));
    let state = State::new(&definition, Uuid::nil(), input, BTreeMap::new());
    let parked = transition(&definition, state, &Event::Started, T0).state;
    let (actor, reason) = who();
    let resolved = Event::Resolved { step: "seat".into(), actor, reason, output: json!({"number": 7}) };
    let told = transition(&definition, parked.clone(), &resolved, T0);
    assert!(matches!(&told.verdict, Verdict::Refused(why) if why.contains("Cancel it")), "{:?}", told.verdict);
    let other = parse(
        &STRICT.replace("version: 1", "version: 2").replace("step: seat", "step: place").replace("$.seat", "$.place"),
    );
    let told = makegood_saga::transition::move_version(&definition, &other, parked);
    assert!(matches!(&told.verdict, Verdict::Refused(why) if why.contains("Cancel it")), "{:?}", told.verdict);
}

/// What a later step of the new version relies on was not looked at when the old one took it.
#[test]
fn a_saga_is_not_moved_to_a_version_that_its_outputs_do_not_fit() {
    let loose = parse(&STRICT.replace(", output: { type: object, required: [number] }", ""));
    let strict = parse(&STRICT.replace("version: 1", "version: 2"));
    let mut play = Play::with_signals(&loose, BTreeMap::new());
    play.reply("seat", Direction::Do, Outcome::Done { output: json!({}) });
    let (actor, reason) = who();
    play.feed(&Event::Paused { actor, reason });
    let told = makegood_saga::transition::move_version(&loose, &strict, play.state.clone());
    assert!(matches!(&told.verdict, Verdict::Refused(why) if why.contains("does not match")), "{:?}", told.verdict);
    play.state.context.insert("seat".to_owned(), json!({"number": 7}));
    assert_eq!(makegood_saga::transition::move_version(&loose, &strict, play.state).verdict, Verdict::Moved);
}

/// Whatever happens between its answer and the skip: it is known to have taken effect.
#[test]
fn a_step_that_took_effect_and_was_retried_before_it_was_skipped_is_undone() {
    let definition = parse(STRICT);
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.reply("seat", Direction::Do, Outcome::Done { output: json!({}) });
    let (actor, reason) = who();
    assert_eq!(play.feed(&Event::Retried { actor, reason }), Verdict::Moved);
    play.reply("seat", Direction::Do, Outcome::defect("no such route"));
    assert_eq!(play.feed(&skip("seat", Value::Null)), Verdict::Moved);
    play.reply("pay", Direction::Do, Outcome::refused("declined", ""));
    assert_eq!(play.commands(Direction::Undo), ["seat"]);
}

/// A contradiction is somebody's affair also after the end; a repetition, or what a person has settled otherwise, is nobody's.
#[test]
fn answers_after_the_end_that_contradict_it_cannot_be() {
    let definition = parse(
        "
saga: trip
version: 1
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat }
  - { step: gift, command: shop.wrap, when: $.input.gift }
  - { step: pay, command: bank.pay }
finally: { command: trips.close }
",
    );
    let number = |number: u32| Outcome::Done { output: json!({ "number": number }) };
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.reply("seat", Direction::Do, Outcome::defect("nonsense"));
    let (actor, reason) = who();
    play.feed(&Event::Resolved { step: "seat".into(), actor, reason, output: json!({"number": 1}) });
    play.reply("pay", Direction::Do, number(2));
    play.reply("finally", Direction::Do, Outcome::done());
    assert_eq!(play.state.condition(), Condition::Completed);
    let ended = play.state.clone();
    for (step, direction, outcome, is_nothing_new) in [
        ("pay", Direction::Do, number(2), true),
        ("pay", Direction::Do, Outcome::retry("busy"), true),
        ("seat", Direction::Do, number(9), true),
        ("finally", Direction::Do, number(9), true),
        ("pay", Direction::Do, number(3), false),
        ("pay", Direction::Do, Outcome::refused("declined", ""), false),
        ("seat", Direction::Do, Outcome::refused("full", ""), false),
        ("seat", Direction::Undo, Outcome::done(), false),
        ("gift", Direction::Do, number(4), false),
        ("cruise", Direction::Do, Outcome::done(), false),
    ] {
        let verdict = play.reply(step, direction, outcome.clone());
        let is_told = matches!(verdict, Verdict::Unexpected(_));
        assert!(is_told != is_nothing_new, "{step} {direction:?} {outcome:?}: {verdict:?}");
        assert_eq!(play.state, ended, "nothing moves any more");
    }
}
