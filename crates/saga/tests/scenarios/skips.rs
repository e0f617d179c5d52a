//! What follows from a skipped step: its stand-in, its late answer, and what is undone of it.

use makegood_saga::state::Phase;

use super::{
    operators::{TRIP, skip, trip, until},
    *,
};

#[test]
fn each_skipped_step_gives_its_stand_in_to_the_next_and_is_not_undone() {
    let definition = trip();
    for skipped in ["seat", "room"] {
        let mut play = until(&definition, skipped, Direction::Do);
        assert_eq!(play.feed(&skip(skipped, json!({"number": 12}))), Verdict::Moved);
        assert_eq!(play.state.context[skipped], json!({"number": 12}));
        play.run(|send| if send.step == "charge" { Some(Outcome::refused("declined", "")) } else { done(send) });
        assert_eq!(play.state.condition(), Condition::Compensated);
        let expected: Vec<_> = ["room", "seat"].into_iter().filter(|step| *step != skipped).collect();
        assert_eq!(play.commands(Direction::Undo), expected, "{skipped}");
    }
    let room = definition.command_at(2).expect("a command");
    let mut play = until(&definition, "seat", Direction::Do);
    play.feed(&skip("seat", json!({"number": 12})));
    assert_eq!(Value::Object(room.input.evaluate(&play.state.context)), json!({"seat": 12}));
}

#[test]
fn a_wait_that_is_skipped_goes_on_and_its_signal_is_too_late() {
    let definition = trip();
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.run(done);
    assert_eq!(play.feed(&skip("consent", json!({"by": "phone"}))), Verdict::Moved);
    assert_eq!(
        play.feed(&Event::Signalled { signal: "consent".into(), payload: json!({}), by: None }),
        Verdict::Ignored
    );
    assert_eq!(play.state.context["consent"], json!({"by": "phone"}));
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Completed);
}

#[test]
fn a_step_that_is_done_after_it_was_skipped_is_a_conflict_and_is_undone_on_the_way_back() {
    let car = "{ step: car, command: cars.hold_car, compensate: cars.release_car }\n  - { step: charge";
    let definition = Definition::parse(&TRIP.replace("{ step: charge", car)).expect("in order");
    // The late answer comes on the way forward, on the way back before and after its place, and while finishing.
    for late_during in ["charge", "car", "seat", FINALLY] {
        let mut play = until(&definition, "room", Direction::Do);
        play.feed(&skip("room", json!({"number": 12})));
        let waits = |send: &Send| match (send.step.as_str(), send.direction) {
            ("charge" | FINALLY, Direction::Do) if send.step == late_during => None,
            ("charge", Direction::Do) => Some(Outcome::refused("declined", "")),
            (step, Direction::Undo) if step == late_during => None,
            _ => done(send),
        };
        play.run(waits);
        let late = Outcome::Done { output: json!({"number": 99}) };
        let verdict = play.reply("room", Direction::Do, late.clone());
        assert!(matches!(verdict, Verdict::Conflict(_)), "{late_during}: {verdict:?}");
        assert_eq!(play.state.context["room"], json!({"number": 12}), "the stand-in stays");
        assert_eq!(play.reply("room", Direction::Do, late), Verdict::Ignored, "told twice");
        play.feed(&Event::Recovered);
        play.run(|send| if send.step == "charge" { Some(Outcome::refused("declined", "")) } else { done(send) });
        assert_eq!(play.state.condition(), Condition::Compensated, "{late_during}: {:?}", play.state);
        let mut undone = play.commands(Direction::Undo);
        undone.sort_unstable();
        undone.dedup();
        assert_eq!(undone, ["car", "room", "seat"], "{late_during}");
        assert_eq!(play.state.steps[2].status, Status::Undone, "{late_during}");
    }
}

#[test]
fn a_skipped_step_that_is_done_after_the_end_is_told_and_changes_nothing() {
    let definition = trip();
    let mut play = until(&definition, "room", Direction::Do);
    play.feed(&skip("room", Value::Null));
    play.run(done);
    assert_eq!(play.state.phase, Phase::Completed);
    assert!(matches!(play.reply("room", Direction::Do, Outcome::done()), Verdict::Unexpected(_)));
    assert_eq!(play.reply("room", Direction::Do, Outcome::refused("no", "")), Verdict::Ignored);
    assert_eq!(play.reply("seat", Direction::Do, Outcome::done()), Verdict::Ignored);
    assert_eq!(play.state.phase, Phase::Completed);
}

#[test]
fn siblings_of_a_skipped_step_are_awaited() {
    let definition = Definition::parse(GROUP).expect("in order");
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.reply("first", Direction::Do, Outcome::done());
    play.feed(&skip("left", json!(1)));
    play.reply("middle", Direction::Do, Outcome::refused("full", ""));
    assert_eq!(play.state.condition(), Condition::Running, "the right one is still out");
    play.reply("right", Direction::Do, Outcome::done());
    assert_eq!(play.commands(Direction::Undo), ["first"], "neither the skipped nor the refused one");
}

#[test]
fn a_stand_in_must_look_like_the_steps_output_or_be_none_at_all() {
    let yaml = "
saga: trip
version: 1
steps:
  - { step: seat, command: s.v, output: { type: object, required: [number] } }
  - { step: ticket, command: s.w }
";
    let definition = Definition::parse(yaml).expect("in order");
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    let Verdict::Refused(why) = play.feed(&skip("seat", json!({"seat": 12}))) else { panic!("it has no number") };
    assert!(why.contains("number"), "{why}");
    assert_eq!(play.state.condition(), Condition::Running);
    let mut without = Play::with_signals(&definition, BTreeMap::new());
    for (play, stand_in) in [(&mut play, json!({"number": 12})), (&mut without, Value::Null)] {
        // The skipped command is never answered: here it was lost.
        play.outbox.clear();
        assert_eq!(play.feed(&skip("seat", stand_in)), Verdict::Moved);
        play.run(done);
        assert_eq!(play.state.condition(), Condition::Completed);
    }
}

/// What follows relies on it: the goods of a skipped payment would leave unpaid.
#[test]
fn the_pivot_is_not_skipped_whether_it_is_out_waits_for_its_next_attempt_or_is_parked() {
    let definition = trip();
    let mut play = until(&definition, "charge", Direction::Do);
    let stands = |play: &mut Play<'_>| {
        let Verdict::Refused(why) = play.feed(&skip("charge", json!({}))) else { panic!("{:?}", play.state) };
        assert!(why.contains("is the pivot"), "{why}");
    };
    stands(&mut play);
    play.reply("charge", Direction::Do, Outcome::retry("busy"));
    stands(&mut play);
    play.reply("charge", Direction::Do, Outcome::defect("broken"));
    assert_eq!(play.state.condition(), Condition::Parked);
    stands(&mut play);
    assert_eq!(play.state.condition(), Condition::Parked);
}
