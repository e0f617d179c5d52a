//! What operators do to a saga: every event of theirs in every condition, and what each of them means for what follows.

use std::collections::BTreeSet;

use super::*;

/// Three steps with a wait between them; `charge` is the pivot.
pub(super) const TRIP: &str = "
saga: trip
version: 1
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat }
  - { step: consent, await: consent, deadline: 10m, on_deadline: compensate }
  - { step: room, command: hotel.hold_room, compensate: hotel.release_room, input: { seat: $.seat.number } }
  - { step: charge, command: bank.charge, pivot: true }
  - { step: ticket, command: train.print_ticket }
finally: { command: trips.close }
";

pub(super) fn trip() -> Definition {
    Definition::parse(TRIP).expect("in order")
}

fn consented() -> BTreeMap<String, Value> {
    BTreeMap::from([("consent".to_owned(), json!({}))])
}

/// A trip in which everything is done until this command, which is out.
pub(super) fn until<'a>(definition: &'a Definition, step: &str, direction: Direction) -> Play<'a> {
    let mut play = Play::with_signals(definition, consented());
    play.run(|send| if send.step == step && send.direction == direction { None } else { done(send) });
    play
}

fn who() -> (String, String) {
    ("ann".to_owned(), "the carrier is down".to_owned())
}

fn pause() -> Event {
    let (actor, reason) = who();
    Event::Paused { actor, reason }
}

fn resume() -> Event {
    let (actor, reason) = who();
    Event::Resumed { actor, reason }
}

fn retry() -> Event {
    let (actor, reason) = who();
    Event::Retried { actor, reason }
}

pub(super) fn skip(step: &str, output: Value) -> Event {
    let (actor, reason) = who();
    Event::StepSkipped { step: step.to_owned(), actor, reason, output }
}

fn resolve(step: &str) -> Event {
    let (actor, reason) = who();
    Event::Resolved { step: step.to_owned(), actor, reason, output: Value::Null }
}

fn cancel() -> Event {
    let (actor, reason) = who();
    Event::CancelledByOperator { actor, reason }
}

fn compensate() -> Event {
    let (actor, reason) = who();
    Event::CompensationForced { actor, reason }
}

/// A trip in each condition that there is, and in the phases that look alike from outside.
fn plays(definition: &Definition) -> Vec<(&'static str, Play<'_>)> {
    let refuse_charge = |send: &Send| match (send.step.as_str(), send.direction) {
        ("charge", Direction::Do) => Some(Outcome::refused("declined", "")),
        ("room", Direction::Undo) => None,
        _ => done(send),
    };
    let running = until(definition, "room", Direction::Do);
    let mut waiting = Play::with_signals(definition, BTreeMap::new());
    waiting.run(done);
    let mut parked = until(definition, "room", Direction::Do);
    parked.reply("room", Direction::Do, Outcome::defect("no room at all"));
    let mut parked_and_paused = until(definition, "room", Direction::Do);
    parked_and_paused.reply("room", Direction::Do, Outcome::defect("no room at all"));
    assert_eq!(parked_and_paused.feed(&pause()), Verdict::Moved);
    let mut paused = until(definition, "room", Direction::Do);
    assert_eq!(paused.feed(&pause()), Verdict::Moved);
    let past_pivot = until(definition, "ticket", Direction::Do);
    let mut compensating = Play::with_signals(definition, consented());
    compensating.run(refuse_charge);
    let mut undo_parked = Play::with_signals(definition, consented());
    undo_parked.run(refuse_charge);
    undo_parked.reply("room", Direction::Undo, Outcome::defect("the hotel is gone"));
    let finishing = until(definition, FINALLY, Direction::Do);
    let mut completed = Play::with_signals(definition, consented());
    completed.run(done);
    let mut compensated = Play::with_signals(definition, consented());
    compensated.run(|send| if send.step == "charge" { Some(Outcome::refused("declined", "")) } else { done(send) });
    vec![
        ("running", running),
        ("waiting", waiting),
        ("parked", parked),
        ("parked and paused", parked_and_paused),
        ("paused", paused),
        ("past the pivot", past_pivot),
        ("compensating", compensating),
        ("undo parked", undo_parked),
        ("finishing", finishing),
        ("completed", completed),
        ("compensated", compensated),
    ]
}

/// The table at the head of `transition/operator.rs`: in which of the plays each event is possible.
#[test]
fn every_operators_event_has_a_verdict_in_every_condition() {
    let definition = trip();
    let possible: [(&str, Event, &[&str]); 8] = [
        ("retry", retry(), &["running", "parked", "past the pivot", "compensating", "undo parked", "finishing"]),
        ("skip", skip("room", json!(1)), &["running", "parked", "parked and paused", "paused"]),
        ("skip finally", skip(FINALLY, Value::Null), &["finishing"]),
        ("resolve", resolve("room"), &["parked", "parked and paused", "undo parked"]),
        ("cancel", cancel(), &["running", "waiting", "parked", "parked and paused", "paused"]),
        ("compensate", compensate(), &["running", "waiting", "parked", "parked and paused", "paused"]),
        (
            "pause",
            pause(),
            &["running", "waiting", "parked", "past the pivot", "compensating", "undo parked", "finishing"],
        ),
        ("resume", resume(), &["parked and paused", "paused"]),
    ];
    let mut conditions = BTreeSet::new();
    for (name, event, possible) in possible {
        for (condition, mut play) in plays(&definition) {
            conditions.insert(play.state.condition().as_str());
            let before = play.state.clone();
            let verdict = play.feed(&event);
            if possible.contains(&condition) {
                assert_eq!(verdict, Verdict::Moved, "{name} while {condition}");
                continue;
            }
            let Verdict::Refused(why) = verdict else { panic!("{name} while {condition}: {verdict:?}") };
            assert!(!why.is_empty());
            assert_eq!(play.state, before, "{name} while {condition} was refused and changed something");
        }
    }
    assert_eq!(conditions, BTreeSet::from(Condition::ALL.map(Condition::as_str)));
}

/// Whatever an operator does, and in whatever order, the saga comes to its end, and what took effect is undone if it does.
#[test]
fn any_two_operators_events_leave_a_saga_that_ends() {
    let definition = trip();
    let events =
        || [retry(), skip("room", json!(1)), resolve("room"), cancel(), compensate(), pause(), resume()].into_iter();
    for first in events() {
        for second in events() {
            for (condition, mut play) in plays(&definition) {
                play.feed(&first);
                play.feed(&second);
                if play.state.paused.is_some() {
                    assert_eq!(play.feed(&resume()), Verdict::Moved);
                }
                if let Some(parked) = play.state.parked.clone() {
                    assert_eq!(play.feed(&resolve(&parked.step)), Verdict::Moved);
                }
                play.feed(&Event::Signalled { signal: "consent".into(), payload: json!({}), by: None });
                // Whatever is out is asked once more by a restart, and that is answered.
                play.outbox.clear();
                play.feed(&Event::Recovered);
                play.run(done);
                assert!(play.state.phase.has_ended(), "{first:?}, {second:?} while {condition}: {:?}", play.state);
                let left = play.state.steps.iter().position(|step| step.status == Status::Done);
                let compensated = play.state.condition() == Condition::Compensated;
                let left = left.filter(|index| {
                    compensated && definition.command_at(*index).is_some_and(|step| step.compensate.is_some())
                });
                assert_eq!(left, None, "{first:?}, {second:?} while {condition}: {:?}", play.state);
            }
        }
    }
}

#[test]
fn a_paused_saga_takes_replies_in_and_sends_nothing_until_it_is_resumed() {
    let definition = trip();
    for step in ["seat", "room", "charge", "ticket"] {
        let mut play = until(&definition, step, Direction::Do);
        play.feed(&pause());
        assert_eq!(play.state.condition(), Condition::Paused);
        assert_eq!(play.state.wake_at(), None, "its timers stand still");
        let sent = play.sent.len();
        play.now += Duration::hours(3);
        assert_eq!(play.feed(&Event::Woke), Verdict::Ignored);
        assert_eq!(play.feed(&Event::Recovered), Verdict::Ignored);
        assert_eq!(play.reply(step, Direction::Do, Outcome::Done { output: json!({"number": 7}) }), Verdict::Moved);
        assert_eq!(play.sent.len(), sent, "{step}");
        assert_eq!(play.state.context[step], json!({"number": 7}));
        // What is stored survives a restart.
        let stored = serde_json::to_string(&play.state).expect("serializes");
        assert!(serde_json::from_str::<State>(&stored).expect("deserializes").paused.is_some());
        assert_eq!(play.feed(&resume()), Verdict::Moved);
        assert_eq!(play.sent.len(), sent + 1, "{step}");
        play.run(done);
        assert_eq!(play.state.condition(), Condition::Completed, "{step}");
    }
}

#[test]
fn a_refusal_while_paused_is_kept_and_undone_once_resumed() {
    let definition = trip();
    let mut play = until(&definition, "charge", Direction::Do);
    play.feed(&pause());
    assert_eq!(play.reply("charge", Direction::Do, Outcome::refused("declined", "")), Verdict::Moved);
    assert!(play.commands(Direction::Undo).is_empty());
    play.feed(&resume());
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Compensated);
    assert_eq!(play.commands(Direction::Undo), ["room", "seat"]);
}

#[test]
fn timers_stand_still_while_paused_and_what_is_out_is_sent_again() {
    let definition = trip();
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.run(done);
    assert_eq!(play.state.wake_at(), Some(T0 + Duration::minutes(10)));
    play.now += Duration::minutes(4);
    play.feed(&pause());
    play.now += Duration::hours(5);
    play.feed(&resume());
    assert_eq!(play.state.wake_at(), Some(T0 + Duration::hours(5) + Duration::minutes(10)));

    let mut out = until(&definition, "room", Direction::Do);
    out.feed(&pause());
    out.now += Duration::hours(5);
    // A failure that comes meanwhile is repeated after its delay, counted from the moment when the saga goes on.
    out.reply("room", Direction::Do, Outcome::retry("not now"));
    out.feed(&resume());
    let wake_at = out.state.wake_at().expect("it is repeated");
    assert!(wake_at >= out.now && wake_at <= out.now + Duration::seconds(1), "{wake_at}");

    let mut silent = until(&definition, "room", Direction::Do);
    silent.feed(&pause());
    silent.now += Duration::hours(5);
    let attempt = silent.state.steps[2].attempt;
    silent.feed(&resume());
    assert_eq!(silent.state.steps[2].attempt, attempt + 1);
    assert_eq!(silent.state.steps[2].failures, 0, "a pause costs nothing of the budget");
}

#[test]
fn a_deadline_that_is_a_fact_outside_of_the_saga_runs_on_while_paused() {
    let definition = checkout();
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.run(done);
    let deadline = play.state.wake_at();
    play.feed(&pause());
    play.now += Duration::minutes(5);
    play.feed(&resume());
    assert_eq!(play.state.wake_at(), deadline, "the hold expires when it expires");
}

#[test]
fn an_operators_cancel_waits_for_what_is_out_and_keeps_who_and_why_for_the_log() {
    let definition = trip();
    for step in ["seat", "room"] {
        let mut play = until(&definition, step, Direction::Do);
        assert_eq!(play.feed(&cancel()), Verdict::Moved);
        assert!(play.commands(Direction::Undo).is_empty(), "{step}: waits for its outcome");
        assert!(matches!(play.feed(&cancel()), Verdict::Refused(_)), "it is called off already");
        play.reply(step, Direction::Do, Outcome::done());
        play.run(done);
        assert_eq!(play.state.condition(), Condition::Compensated);
        assert_eq!(play.commands(Direction::Undo), expected_undos(&definition, step, true), "{step}");
        assert_eq!(play.state.reasons[0].code, "cancelled");
        assert_eq!(play.state.reasons[0].detail, "An operator called it off.");
    }
    for step in ["charge", "ticket"] {
        let mut play = until(&definition, step, Direction::Do);
        let Verdict::Refused(why) = play.feed(&cancel()) else { panic!("{step}: past the pivot there is no way back") };
        assert!(why.contains("pivot"), "{why}");
    }
}

#[test]
fn a_parked_step_has_no_outcome_to_wait_for_so_cancelling_undoes_it_at_once() {
    let definition = trip();
    for event in [cancel(), compensate()] {
        let mut play = until(&definition, "room", Direction::Do);
        play.reply("room", Direction::Do, Outcome::defect("nonsense"));
        assert_eq!(play.feed(&event), Verdict::Moved);
        play.run(done);
        assert_eq!(play.state.condition(), Condition::Compensated);
        assert_eq!(play.commands(Direction::Undo), ["room", "seat"], "it may have taken effect");
    }
}

#[test]
fn turning_a_paused_saga_around_is_decided_at_once_and_done_once_resumed() {
    let definition = trip();
    for event in [cancel(), compensate()] {
        let mut play = until(&definition, "room", Direction::Do);
        play.feed(&pause());
        assert_eq!(play.feed(&event), Verdict::Moved);
        assert!(play.commands(Direction::Undo).is_empty());
        assert_eq!(play.state.condition(), Condition::Paused);
        play.feed(&resume());
        play.run(done);
        assert_eq!(play.state.condition(), Condition::Compensated, "{event:?}");
        assert_eq!(play.commands(Direction::Undo), ["room", "seat"]);
    }
}

#[test]
fn a_retried_wait_lasts_as_long_once_more_unless_its_time_is_a_fact_that_has_passed() {
    let waits = |deadline: &str| {
        let yaml = format!(
            "saga: w\nversion: 1\nsteps:\n  - {{ step: go, await: go, deadline: {deadline}, on_deadline: park }}\n"
        );
        Definition::parse(&yaml).expect("in order")
    };
    let again = waits("10m");
    let mut play = Play::with_signals(&again, BTreeMap::new());
    assert!(play.wait());
    assert_eq!(play.state.condition(), Condition::Parked);
    assert_eq!(play.feed(&retry()), Verdict::Moved);
    assert_eq!(play.state.wake_at(), Some(T0 + Duration::minutes(20)));

    let passed = waits("$.input.departs_at");
    let mut play = Play::with_signals(&passed, BTreeMap::new());
    assert_eq!(play.state.condition(), Condition::Parked, "there is no such time in the input");
    assert!(matches!(play.feed(&retry()), Verdict::Refused(_)));
    assert_eq!(play.state.condition(), Condition::Parked);
    assert_eq!(play.feed(&Event::Signalled { signal: "go".into(), payload: json!({}), by: None }), Verdict::Moved);
    assert_eq!(play.state.condition(), Condition::Completed);
}
