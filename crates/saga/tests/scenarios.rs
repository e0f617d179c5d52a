//! The transition function against scripted participants: loops over every step of the shipped checkout, so that a new
//! step is tested without writing a test, and the scenarios that the promises are kept against.

#[path = "scenarios/answers.rs"]
mod answers;
#[path = "scenarios/operators.rs"]
mod operators;
#[path = "scenarios/parked.rs"]
mod parked;
#[path = "scenarios/pending.rs"]
mod pending;
#[path = "scenarios/skips.rs"]
mod skips;
#[path = "scenarios/taken_back.rs"]
mod taken_back;
#[path = "scenarios/versions.rs"]
mod versions;

use std::collections::BTreeMap;

use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::{
    definition::{Definition, FINALLY, Retry, StepKind},
    effect::{Effect, Send},
    event::Event,
    state::{Condition, State, Status},
    transition::{Verdict, transition},
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

const T0: OffsetDateTime = datetime!(2026-11-24 12:00:00 UTC);

fn checkout() -> Definition {
    Definition::parse(include_str!("../../../saga-definitions/checkout.v1.yaml"))
        .expect("the shipped checkout is in order")
}

/// A saga whose participants are a closure; keeps what was sent, in order.
struct Play<'a> {
    definition: &'a Definition,
    state: State,
    now: OffsetDateTime,
    sent: Vec<(String, Direction)>,
    outbox: Vec<Send>,
    tells: usize,
}

impl<'a> Play<'a> {
    fn new(definition: &'a Definition) -> Self {
        let signals = BTreeMap::from([("confirmation".to_owned(), json!({"payment_method": "pm_card_visa"}))]);
        Self::with_signals(definition, signals)
    }

    fn with_signals(definition: &'a Definition, signals: BTreeMap<String, Value>) -> Self {
        let state = State::new(definition, Uuid::from_u128(7), json!({"cart_id": "c"}), signals);
        let mut play = Self { definition, state, now: T0, sent: Vec::new(), outbox: Vec::new(), tells: 0 };
        assert_eq!(play.feed(&Event::Started), Verdict::Moved);
        play
    }

    fn feed(&mut self, event: &Event) -> Verdict {
        let moved = transition(self.definition, self.state.clone(), event, self.now);
        self.state = moved.state;
        for effect in moved.effects {
            match effect {
                Effect::Send(send) => {
                    self.sent.push((send.step.clone(), send.direction));
                    self.outbox.push(send);
                }
                Effect::Tell { .. } => self.tells += 1,
                Effect::Finish => {}
            }
        }
        moved.verdict
    }

    fn reply(&mut self, step: &str, direction: Direction, outcome: Outcome) -> Verdict {
        self.feed(&Event::Replied { step: step.to_owned(), direction, attempt: 1, outcome })
    }

    /// Answers what is out until nothing is, or nothing is answered any more.
    fn run(&mut self, participant: impl Fn(&Send) -> Option<Outcome>) {
        for _ in 0..10_000 {
            let Some(send) = (!self.outbox.is_empty()).then(|| self.outbox.remove(0)) else { return };
            if let Some(outcome) = participant(&send) {
                let verdict = self.reply(&send.step, send.direction, outcome);
                assert!(!matches!(verdict, Verdict::Unexpected(_) | Verdict::Conflict(_)), "{verdict:?}");
            }
        }
        panic!("the saga does not come to rest");
    }

    /// Lets time pass to the next deadline. False when there is none.
    fn wait(&mut self) -> bool {
        let Some(wake_at) = self.state.wake_at() else { return false };
        self.now = self.now.max(wake_at);
        self.feed(&Event::Woke);
        true
    }

    fn commands(&self, direction: Direction) -> Vec<&str> {
        self.sent.iter().filter(|(_, sent)| *sent == direction).map(|(step, _)| step.as_str()).collect()
    }
}

fn done(send: &Send) -> Option<Outcome> {
    let output = match (send.step.as_str(), send.direction) {
        ("hold_stock", Direction::Do) => json!({"expires_at": "2026-11-24T12:15:00Z"}),
        _ => Value::Null,
    };
    Some(Outcome::Done { output })
}

fn command_steps(definition: &Definition) -> Vec<&str> {
    let is_command = |step: &&makegood_saga::definition::Step| matches!(step.kind, StepKind::Command(_));
    definition.steps.iter().filter(is_command).map(|step| step.name.as_str()).collect()
}

/// What must be undone when the stages before that of `step` are done, and the other steps of its own: the last stage first, in
/// each the steps in their order.
fn expected_undos<'a>(definition: &'a Definition, step: &str, including: bool) -> Vec<&'a str> {
    let index = definition.index_of(step).expect("a step");
    let stage = definition.stage_of(index).expect("a stage");
    let can_undo = |one: &usize| {
        let command = definition.command_at(*one);
        (including || *one != index) && command.is_some_and(|command| command.compensate.is_some())
    };
    let stages = definition.stages[..=stage].iter().rev();
    stages.flat_map(|stage| stage.clone()).filter(can_undo).map(|one| definition.name_of(one)).collect()
}

#[test]
fn all_steps_done_completes_with_one_sending_each_in_order() {
    let definition = checkout();
    let mut play = Play::new(&definition);
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Completed);
    let mut expected = command_steps(&definition);
    expected.push(FINALLY);
    assert_eq!(play.commands(Direction::Do), expected);
    assert!(play.commands(Direction::Undo).is_empty());
    assert_eq!(play.state.wake_at(), None);
}

#[test]
fn each_step_refused_undoes_what_was_done_in_reverse() {
    let definition = checkout();
    let pivot = definition.pivot.expect("a pivot");
    for step in command_steps(&definition) {
        let mut play = Play::new(&definition);
        play.run(|send| match send.direction {
            Direction::Do if send.step == step => Some(Outcome::refused("no", "because")),
            Direction::Do | Direction::Undo => done(send),
        });
        if definition.index_of(step).expect("a step") <= pivot {
            assert_eq!(play.state.condition(), Condition::Compensated, "{step}");
            assert_eq!(play.commands(Direction::Undo), expected_undos(&definition, step, false), "{step}");
            assert_eq!(play.state.reasons[0].code, "no");
            assert_eq!(play.state.reasons[0].step, step);
        } else {
            assert_eq!(play.state.condition(), Condition::Parked, "{step}");
            assert!(play.commands(Direction::Undo).is_empty(), "{step}");
        }
    }
}

#[test]
fn each_step_silent_is_repeated_and_then_undone_or_parked_but_never_undone_from_the_pivot_on() {
    let definition = checkout();
    let pivot = definition.pivot.expect("a pivot");
    for step in command_steps(&definition) {
        let mut play = Play::new(&definition);
        let silent = |send: &Send| if send.step == step && send.direction == Direction::Do { None } else { done(send) };
        play.run(silent);
        while !play.state.phase.has_ended() && play.wait() {
            play.run(silent);
        }
        let index = definition.index_of(step).expect("a step");
        let attempts = play.commands(Direction::Do).iter().filter(|sent| **sent == step).count();
        let budget = definition.command_at(index).expect("a command").retry.attempts as usize;
        assert_eq!(attempts, budget, "{step}");
        if index < pivot {
            assert_eq!(play.state.condition(), Condition::Compensated, "{step}");
            assert_eq!(play.commands(Direction::Undo), expected_undos(&definition, step, true), "{step}");
        } else {
            assert_eq!(play.state.condition(), Condition::Parked, "{step}");
            assert!(play.commands(Direction::Undo).is_empty(), "{step}");
            // The answer that comes at last is as good as any: it takes the saga out of the parking place.
            play.reply(step, Direction::Do, Outcome::done());
            play.run(done);
            assert_eq!(play.state.condition(), Condition::Completed, "{step}");
        }
    }
}

#[test]
fn every_undo_that_fails_is_repeated_until_it_works_and_parked_when_it_never_does() {
    let definition = checkout();
    for heals in [true, false] {
        for step in expected_undos(&definition, "capture_payment", false) {
            let mut play = Play::new(&definition);
            let participant = |send: &Send| match send.direction {
                Direction::Do if send.step == "capture_payment" => Some(Outcome::refused("no", "declined")),
                Direction::Undo if send.step == step && !(heals && send.attempt > 5) => Some(Outcome::retry("not now")),
                Direction::Do | Direction::Undo => done(send),
            };
            play.run(participant);
            while !play.state.phase.has_ended() && play.wait() {
                play.run(participant);
            }
            let expected = if heals { Condition::Compensated } else { Condition::Parked };
            assert_eq!(play.state.condition(), expected, "{step}");
            if !heals {
                // As often as after the pivot, whatever the step's own `retry` says of its action.
                let asked = play.commands(Direction::Undo).iter().filter(|undone| **undone == step).count();
                assert_eq!(asked, Retry::NO_WAY_BACK.attempts as usize, "{step}");
                let resolved = Event::Resolved {
                    step: step.to_owned(),
                    actor: "a".into(),
                    reason: "by hand".into(),
                    output: Value::Null,
                };
                assert_eq!(play.feed(&resolved), Verdict::Moved);
                play.run(participant);
                assert_eq!(play.state.condition(), Condition::Compensated, "{step}");
            }
        }
    }
}

#[test]
fn the_confirmation_is_awaited_until_the_hold_expires() {
    let definition = checkout();
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Waiting);
    assert_eq!(play.state.wake_at(), Some(T0 + Duration::minutes(15)));
    play.now = T0 + Duration::minutes(15) - Duration::milliseconds(1);
    assert_eq!(play.feed(&Event::Woke), Verdict::Ignored);
    play.now = T0 + Duration::minutes(15);
    assert_eq!(play.feed(&Event::Woke), Verdict::Moved);
    // The signal that comes at the same instant loses: exactly one of them wins.
    let late = Event::Signalled {
        signal: "confirmation".into(),
        payload: json!({"payment_method": "pm_card_visa"}),
        by: None,
    };
    assert_eq!(play.feed(&late), Verdict::Ignored);
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Compensated);
    assert_eq!(play.state.reasons[0].code, "deadline_passed");
    assert_eq!(play.commands(Direction::Undo), ["hold_stock", "lock_cart"]);
}

#[test]
fn the_first_signal_wins_whenever_it_comes() {
    let definition = checkout();
    let signal = |method: &str| Event::Signalled {
        signal: "confirmation".into(),
        payload: json!({"payment_method": method}),
        by: None,
    };
    let mut early = Play::with_signals(&definition, BTreeMap::new());
    assert_eq!(early.feed(&signal("first")), Verdict::Moved);
    assert_eq!(early.feed(&signal("second")), Verdict::Ignored);
    early.run(done);
    assert_eq!(early.state.context["confirmation"], json!({"payment_method": "first"}));
    assert_eq!(early.state.condition(), Condition::Completed);
    assert!(matches!(early.feed(&signal("third")), Verdict::Ignored));
}

#[test]
fn calling_off_waits_for_what_is_out_and_is_refused_from_the_pivot_on() {
    let definition = checkout();
    let cancel = Event::Cancelled { code: "cancelled".into(), detail: "the buyer changed their mind".into() };
    for step in command_steps(&definition) {
        let mut play = Play::new(&definition);
        play.run(|send| if send.step == step { None } else { done(send) });
        let verdict = play.feed(&cancel);
        let index = definition.index_of(step).expect("a step");
        if index < definition.pivot.expect("a pivot") {
            assert_eq!(verdict, Verdict::Moved, "{step}");
            assert!(play.commands(Direction::Undo).is_empty(), "{step}: waits for its outcome");
            play.reply(step, Direction::Do, Outcome::done());
            play.run(done);
            assert_eq!(play.state.condition(), Condition::Compensated, "{step}");
            assert_eq!(play.commands(Direction::Undo), expected_undos(&definition, step, true), "{step}");
            assert_eq!(play.state.reasons[0].code, "cancelled");
        } else {
            assert!(matches!(verdict, Verdict::Refused(_)), "{step}");
            play.reply(step, Direction::Do, Outcome::done());
            play.run(done);
            assert_eq!(play.state.condition(), Condition::Completed, "{step}");
        }
    }
}

#[test]
fn a_cancelled_open_checkout_is_undone_at_once() {
    let definition = checkout();
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.run(done);
    play.feed(&Event::Cancelled { code: "cancelled".into(), detail: String::new() });
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Compensated);
    assert_eq!(play.commands(Direction::Undo), ["hold_stock", "lock_cart"]);
}

#[test]
fn a_restart_at_each_step_sends_again_what_is_out_and_changes_nothing_else() {
    let definition = checkout();
    let mut names = command_steps(&definition);
    names.push(FINALLY);
    for step in names {
        let mut play = Play::new(&definition);
        play.run(|send| if send.step == step { None } else { done(send) });
        let (statuses, attempts) = (play.state.condition(), play.sent.len());
        // What is stored survives: everything but the context, which comes back from the log.
        let stored = serde_json::to_string(&play.state).expect("serializes");
        let mut restored: State = serde_json::from_str(&stored).expect("deserializes");
        let mut outputs = play.state.context.clone();
        let input = outputs.remove("input").expect("an input");
        outputs.remove("confirmation");
        restored.restore(&definition, play.state.saga_id, input, outputs);
        assert_eq!(restored, play.state);
        assert_eq!(play.feed(&Event::Recovered), Verdict::Moved);
        assert_eq!(play.sent.len(), attempts + 1, "{step}");
        assert_eq!(play.state.condition(), statuses);
        play.run(done);
        assert_eq!(play.state.condition(), Condition::Completed, "{step}");
    }
}

#[test]
fn an_operator_can_turn_a_saga_around_before_the_pivot_only() {
    let definition = checkout();
    let force = Event::CompensationForced { actor: "ann".into(), reason: "fraud".into() };
    for step in command_steps(&definition) {
        let mut play = Play::new(&definition);
        play.run(|send| if send.step == step && send.direction == Direction::Do { None } else { done(send) });
        let verdict = play.feed(&force);
        if definition.index_of(step).expect("a step") < definition.pivot.expect("a pivot") {
            assert_eq!(verdict, Verdict::Moved, "{step}");
            play.run(done);
            assert_eq!(play.state.condition(), Condition::Compensated, "{step}");
            assert_eq!(play.commands(Direction::Undo), expected_undos(&definition, step, true), "{step}");
        } else {
            assert!(matches!(verdict, Verdict::Refused(_)), "{step}");
        }
    }
    let mut ended = Play::new(&definition);
    ended.run(done);
    assert!(matches!(ended.feed(&force), Verdict::Refused(_)));
}

const GROUP: &str = "
saga: group
version: 1
steps:
  - { step: first, command: s.first, compensate: s.undo_first }
  - parallel:
      - { step: left, command: s.left, compensate: s.undo_left }
      - { step: middle, command: s.middle, compensate: s.undo_middle }
      - { step: right, command: s.right }
  - { step: last, command: s.last, pivot: true }
";

#[test]
fn siblings_of_a_refused_step_are_awaited_and_then_undone() {
    let definition = Definition::parse(GROUP).expect("in order");
    let mut play = Play::with_signals(&definition, BTreeMap::new());
    play.reply("first", Direction::Do, Outcome::done());
    play.reply("left", Direction::Do, Outcome::refused("one", ""));
    play.reply("right", Direction::Do, Outcome::refused("two", ""));
    assert_eq!(play.state.condition(), Condition::Running, "the middle one is still out");
    assert!(play.commands(Direction::Undo).is_empty());
    play.reply("middle", Direction::Do, Outcome::done());
    assert_eq!(play.commands(Direction::Undo), ["middle"]);
    play.reply("middle", Direction::Undo, Outcome::done());
    assert_eq!(play.commands(Direction::Undo), ["middle", "first"]);
    play.reply("first", Direction::Undo, Outcome::done());
    assert_eq!(play.state.condition(), Condition::Compensated);
    let codes: Vec<_> = play.state.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["one", "two"]);
    assert_eq!(play.state.steps[0].status, Status::Undone);
}
