//! Moving sagas between versions: who can be moved, and that they end on the new version as if they had begun there.

use makegood_saga::transition::move_version;

use super::*;

const V1: &str = "
saga: trip
version: 1
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat }
  - { step: consent, await: consent, deadline: 10m, on_deadline: compensate }
  - { step: charge, command: bank.charge, pivot: true }
";
/// A step more after the wait, and one more at the end; the group's members stand in another order.
const V2: &str = "
saga: trip
version: 2
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat }
  - { step: consent, await: consent, deadline: 10m, on_deadline: compensate }
  - { step: insure, command: insurer.insure, compensate: insurer.cancel }
  - { step: charge, command: bank.charge, pivot: true }
  - { step: ticket, command: train.print_ticket }
";

fn parse(yaml: &str) -> Definition {
    Definition::parse(yaml).expect("in order")
}

fn moved(from: &Definition, to: &Definition, state: &State) -> Result<State, String> {
    let moved = move_version(from, to, state.clone());
    assert!(moved.effects.is_empty(), "nothing is sent by a move");
    match moved.verdict {
        Verdict::Moved => Ok(moved.state),
        Verdict::Refused(why) => {
            assert_eq!(moved.state, *state);
            Err(why)
        }
        verdict @ (Verdict::Ignored | Verdict::Conflict(_) | Verdict::Unexpected(_)) => panic!("{verdict:?}"),
    }
}

#[test]
fn a_saga_that_waits_is_paused_or_parked_goes_on_with_the_other_versions_steps() {
    let (old, new) = (parse(V1), parse(V2));
    let mut waiting = Play::with_signals(&old, BTreeMap::new());
    waiting.run(done);
    let mut paused = Play::with_signals(&old, BTreeMap::new());
    paused.feed(&Event::Paused { actor: "ann".into(), reason: "a new version comes".into() });
    let mut parked = Play::with_signals(&old, BTreeMap::new());
    parked.reply("seat", Direction::Do, Outcome::defect("nonsense"));
    for (mut play, condition) in
        [(waiting, Condition::Waiting), (paused, Condition::Paused), (parked, Condition::Parked)]
    {
        let deadline = play.state.wake_at();
        play.state = moved(&old, &new, &play.state).expect("nothing speaks against it");
        play.definition = &new;
        assert_eq!((play.state.condition(), play.state.wake_at()), (condition, deadline));
        let who = || ("ann".to_owned(), "go on".to_owned());
        match condition {
            Condition::Paused => play.feed(&Event::Resumed { actor: who().0, reason: who().1 }),
            Condition::Parked => play.feed(&Event::Retried { actor: who().0, reason: who().1 }),
            Condition::Waiting
            | Condition::Running
            | Condition::Compensating
            | Condition::Finishing
            | Condition::Completed
            | Condition::Compensated => Verdict::Moved,
        };
        play.feed(&Event::Signalled { signal: "consent".into(), payload: json!({}), by: None });
        play.run(done);
        play.feed(&Event::Signalled { signal: "consent".into(), payload: json!({}), by: None });
        play.run(done);
        assert_eq!(play.state.condition(), Condition::Completed, "{condition:?}");
        let sent = play.commands(Direction::Do);
        assert!(sent.ends_with(&["insure", "charge", "ticket"]), "{condition:?}: {sent:?}");
    }
}

#[test]
fn a_moved_saga_undoes_what_it_did_before_and_after_the_move() {
    let (old, new) = (parse(V1), parse(V2));
    let mut play = Play::with_signals(&old, BTreeMap::new());
    play.run(done);
    play.state = moved(&old, &new, &play.state).expect("nothing speaks against it");
    play.definition = &new;
    play.feed(&Event::Signalled { signal: "consent".into(), payload: json!({}), by: None });
    play.run(|send| if send.step == "charge" { Some(Outcome::refused("declined", "")) } else { done(send) });
    assert_eq!(play.state.condition(), Condition::Compensated);
    assert_eq!(play.commands(Direction::Undo), ["insure", "seat"]);
}

#[test]
fn members_of_a_group_may_stand_in_another_order() {
    let (left, right) =
        ("{ step: left, command: s.left }", "{ step: right, command: s.right, compensate: s.undo_right }");
    let group = |version, one, other| {
        parse(&format!("saga: g\nversion: {version}\nsteps:\n  - parallel:\n      - {one}\n      - {other}\n"))
    };
    let (old, new) = (group(1, left, right), group(2, right, left));
    let mut play = Play::with_signals(&old, BTreeMap::new());
    play.reply("right", Direction::Do, Outcome::Done { output: json!(1) });
    play.reply("left", Direction::Do, Outcome::defect("nonsense"));
    let state = moved(&old, &new, &play.state).expect("the order inside a group means nothing");
    assert_eq!((state.steps[0].status, state.steps[1].status), (Status::Done, Status::Sent));
    assert_eq!(state.current_step(&new), Some("left"));
}

#[test]
fn a_saga_on_its_way_or_at_its_end_is_not_moved() {
    let (old, new) = (parse(V1), parse(V2));
    let running = Play::with_signals(&old, BTreeMap::new());
    assert!(moved(&old, &new, &running.state).expect_err("it runs").contains("on its way"));
    let mut ended = Play::with_signals(&old, BTreeMap::from([("consent".to_owned(), json!({}))]));
    ended.run(done);
    assert!(moved(&old, &new, &ended.state).expect_err("it has ended").contains("ended"));
    let mut waiting = Play::with_signals(&old, BTreeMap::new());
    waiting.run(done);
    assert!(moved(&old, &old, &waiting.state).expect_err("nothing to do").contains("already"));
    let other = parse("saga: trip\nversion: 3\nsteps:\n  - { step: seat, command: bus.hold_seat }\n");
    let why = moved(&old, &other, &waiting.state).expect_err("incompatible");
    assert!(why.contains("`bus.hold_seat`") && why.contains("no such step"), "all reasons are told: {why}");
}

/// A later step would read an output that is not there, though the check has found it sure to be.
#[test]
fn a_step_that_was_passed_over_must_not_be_counted_on_by_the_other_version() {
    let gift = |version: u32, when: &str, paper: &str| {
        parse(&format!(
            "
saga: gift
version: {version}
steps:
  - {{ step: wrap, command: shop.wrap{when} }}
  - {{ step: consent, await: consent, deadline: 10m, on_deadline: compensate }}
  - {{ step: send, command: shop.send, input: {{ paper: {paper} }} }}
"
        ))
    };
    let or_none = "{ path: $.wrap.paper, default: null }";
    let old = gift(1, ", when: $.input.is_gift", or_none);
    let mut waiting = Play::with_signals(&old, BTreeMap::new());
    waiting.run(done);
    let why = moved(&old, &gift(2, "", "$.wrap.paper"), &waiting.state).expect_err("`wrap` never ran");
    assert!(why.contains("`wrap` was skipped and has no output"), "{why}");
    moved(&old, &gift(3, ", when: $.input.is_present", or_none), &waiting.state).expect("it may be skipped there too");
    moved(&old, &gift(4, "", or_none), &waiting.state).expect("nobody counts on it");
}
