//! Playing one case.

use std::collections::{BTreeMap, VecDeque};

use makegood_contracts::{command::Direction, reply::Outcome};
use serde_json::{Map, Value};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{
    Rehearsal,
    answer::Answer,
    expectation,
    script::{Case, Happening},
    timeline::{self, Line},
};
use crate::{
    definition::Definition,
    effect::{Effect, Send},
    event::Event,
    state::{Condition, State},
    transition::{Verdict, transition},
};

/// When every case begins: outputs that name a time can count from here.
const BEGINNING: OffsetDateTime = datetime!(2026-01-01 00:00:00 UTC);
/// More answers and deadlines than any flow that comes to rest has: a hundred attempts of a hundred steps, or a step that is pending, and
/// asked again each half minute, for two weeks.
const MOST_EVENTS: usize = 100_000;
/// Operators have a name in the log.
const ACTOR: &str = "script";

/// Plays a case to its end.
pub fn rehearse(definition: &Definition, case: &Case) -> Rehearsal {
    let mut misses = unknown_names(definition, case);
    let mut played = Played::new(definition, case);
    misses.extend(played.play().err());
    misses.extend(expectation::misses(&case.expect, &played));
    Rehearsal { timeline: played.timeline, misses }
}

/// Steps and signals that the script names and the definition has not, and states that there are not.
fn unknown_names(definition: &Definition, case: &Case) -> Vec<String> {
    let expected = [&case.expect.sent, &case.expect.undone, &case.expect.skipped].into_iter().flatten().flatten();
    let answered = case.replies.keys().chain(case.undo_replies.keys());
    let happening = case.then.iter().filter_map(Happening::step);
    let steps = answered.chain(happening).chain(case.expect.inputs.keys()).chain(expected);
    let unknown = steps.filter(|step| definition.index_of(step).is_none());
    let mut problems: Vec<String> = unknown.map(|step| format!("the definition has no step `{step}`")).collect();
    problems.extend(case.replies.keys().filter_map(|step| unanswering(definition, step)));
    problems.extend(case.undo_replies.keys().filter_map(|step| undoing_nothing(definition, step)));
    let signals = case.signals.keys().chain(case.then.iter().filter_map(Happening::signal));
    let unknown = signals.filter(|signal| definition.index_awaiting(signal).is_none());
    problems.extend(unknown.map(|signal| format!("the definition awaits no signal `{signal}`")));
    let states = Condition::ALL.map(Condition::as_str);
    if !states.contains(&case.expect.state.as_str()) {
        problems.push(format!("state: there is no `{}`: write {}", case.expect.state, states.join(", ")));
    }
    problems
}

/// An await answers nothing.
fn unanswering(definition: &Definition, step: &str) -> Option<String> {
    let index = definition.index_of(step)?;
    let is_await = definition.command_at(index).is_none();
    is_await.then(|| format!("replies: `{step}` awaits a signal: write it in `signals`, or in `then`"))
}

/// What has no `compensate` is never asked to be undone.
fn undoing_nothing(definition: &Definition, step: &str) -> Option<String> {
    let index = definition.index_of(step)?;
    let is_undone = definition.command_at(index).is_some_and(|command| command.compensate.is_some());
    (!is_undone).then(|| format!("undo_replies: `{step}` has nothing that undoes it"))
}

/// A case under way: the saga, its clock, and what is out.
pub(super) struct Played<'a> {
    pub(super) definition: &'a Definition,
    case: &'a Case,
    pub(super) state: State,
    now: OffsetDateTime,
    out: VecDeque<Send>,
    /// How often each step was sent, and undone.
    sendings: BTreeMap<(String, Direction), usize>,
    pub(super) sent: Vec<String>,
    pub(super) undone: Vec<String>,
    /// What `then` asked and was not possible, in order: the word, and why.
    pub(super) refused: Vec<(&'static str, String)>,
    /// What was sent last to each step.
    pub(super) inputs: BTreeMap<String, Map<String, Value>>,
    timeline: Vec<Line>,
    events: usize,
}

impl<'a> Played<'a> {
    fn new(definition: &'a Definition, case: &'a Case) -> Self {
        // Delays are spread by the saga's id: one id, one timeline.
        let state = State::new(definition, Uuid::nil(), case.input.clone(), case.signals.clone());
        Self {
            definition,
            case,
            state,
            now: BEGINNING,
            out: VecDeque::new(),
            sendings: BTreeMap::new(),
            sent: Vec::new(),
            undone: Vec::new(),
            refused: Vec::new(),
            inputs: BTreeMap::new(),
            timeline: Vec::new(),
            events: 0,
        }
    }

    fn play(&mut self) -> Result<(), String> {
        self.tell("the saga begins".to_owned());
        self.feed(&Event::Started)?;
        self.answer_all()?;
        for happening in &self.case.then {
            if let Some(why) = self.happen(happening)? {
                self.refused.push((happening.word(), why));
            }
            self.answer_all()?;
        }
        while self.state.condition().as_str() != self.case.expect.state && self.pass_to_next_deadline(None)? {
            self.answer_all()?;
        }
        Ok(())
    }

    /// Answers what is out, until nothing is that would be answered.
    fn answer_all(&mut self) -> Result<(), String> {
        while let Some(send) = self.out.pop_front() {
            let answers = match send.direction {
                Direction::Do => &self.case.replies,
                Direction::Undo => &self.case.undo_replies,
            };
            let sending = self.sendings.entry((send.step.clone(), send.direction)).or_default();
            let answer = answers.get(&send.step).map(|answers| answers.to(*sending).clone());
            *sending += 1;
            match answer.unwrap_or_else(|| Answer::Given(Outcome::done())) {
                Answer::Silent => {}
                Answer::Given(outcome) => {
                    self.reply(send.step, send.direction, send.attempt, outcome)?;
                }
            }
        }
        Ok(())
    }

    fn reply(
        &mut self,
        step: String,
        direction: Direction,
        attempt: u32,
        outcome: Outcome,
    ) -> Result<Option<String>, String> {
        self.tell(timeline::answered(&step, direction, &outcome));
        self.feed(&Event::Replied { step, direction, attempt, outcome })
    }

    /// Tells why it was not possible, if it was not.
    fn happen(&mut self, happening: &Happening) -> Result<Option<String>, String> {
        let actor = ACTOR.to_owned();
        let (told, event) = match happening {
            Happening::Wait(duration) => {
                let Some(until) = duration.0.try_into().ok().and_then(|wait| self.now.checked_add(wait)) else {
                    return Err("a wait ends after the year 9999".to_owned());
                };
                while self.pass_to_next_deadline(Some(until))? {
                    self.answer_all()?;
                }
                self.now = until;
                return Ok(None);
            }
            Happening::Reply(late) => {
                let direction = if late.undo { Direction::Undo } else { Direction::Do };
                return match &late.answer {
                    Answer::Silent => Ok(None),
                    Answer::Given(outcome) => self.reply(late.step.clone(), direction, 1, outcome.clone()),
                };
            }
            Happening::Signal(signal) => (
                format!("signal {}: {}", signal.name, signal.payload),
                Event::Signalled { signal: signal.name.clone(), payload: signal.payload.clone(), by: None },
            ),
            Happening::Cancel(cancel) => (
                format!("it is called off: {}", cancel.code),
                Event::Cancelled { code: cancel.code.clone(), detail: cancel.detail.clone() },
            ),
            Happening::Retry(why) => {
                (format!("an operator retries: {}", why.0), Event::Retried { actor, reason: why.0.clone() })
            }
            Happening::Compensate(why) => (
                format!("an operator turns it around: {}", why.0),
                Event::CompensationForced { actor, reason: why.0.clone() },
            ),
            Happening::Resolve(by_hand) => (
                format!("an operator settles {}: {}", by_hand.step, by_hand.reason),
                Event::Resolved {
                    step: by_hand.step.clone(),
                    actor,
                    reason: by_hand.reason.clone(),
                    output: by_hand.output.clone(),
                },
            ),
            Happening::Restart(why) => (format!("the orchestrator starts anew: {}", why.0), Event::Recovered),
        };
        self.tell(told);
        let impossible = self.feed(&event)?;
        Ok(impossible.or_else(|| self.unheard(happening)))
    }

    /// Why a signal was not taken: told to an operator as a refusal, to whoever sends a message not at all.
    fn unheard(&self, happening: &Happening) -> Option<String> {
        let Happening::Signal(signal) = happening else { return None };
        match self.state.signals.get(&signal.name) {
            Some(kept) if *kept == signal.payload => None,
            Some(_) => Some("it has come before, with another payload, and the first one counts".to_owned()),
            None => Some("the saga is past the step that awaits it".to_owned()),
        }
    }

    /// Lets time pass to the next deadline, if there is one by then.
    fn pass_to_next_deadline(&mut self, until: Option<OffsetDateTime>) -> Result<bool, String> {
        let Some(next) = self.state.wake_at().filter(|next| until.is_none_or(|until| *next <= until)) else {
            return Ok(false);
        };
        self.now = self.now.max(next);
        self.feed(&Event::Woke)?;
        Ok(true)
    }

    /// Tells why the event was not possible, if it was not.
    fn feed(&mut self, event: &Event) -> Result<Option<String>, String> {
        self.events += 1;
        if self.events > MOST_EVENTS {
            let place = self.state.current_step(self.definition);
            let place = place.map_or_else(String::new, |step| format!("; it is at `{step}`"));
            return Err(format!("the saga did not come to rest within {MOST_EVENTS} events{place}"));
        }
        let before = self.state.condition();
        let moved = transition(self.definition, self.state.clone(), event, self.now);
        self.state = moved.state;
        let impossible = match moved.verdict {
            Verdict::Moved | Verdict::Ignored => None,
            Verdict::Conflict(why) => {
                self.tell(format!("    conflict: {why}"));
                None
            }
            Verdict::Unexpected(why) => {
                self.tell(format!("    unexpected: {why}"));
                Some(why)
            }
            Verdict::Refused(why) => {
                self.tell(format!("    not possible: {why}"));
                Some(why)
            }
        };
        for effect in moved.effects {
            self.perform(effect);
        }
        let condition = self.state.condition();
        if condition != before && condition != Condition::Waiting {
            let why = match (&self.state.parked, self.state.reasons.first()) {
                (Some(parked), _) => format!(": {}: {}", parked.step, parked.why),
                (None, Some(reason)) => format!(": {}: {}", reason.step, reason.code),
                (None, None) => String::new(),
            };
            self.tell(format!("it is {}{why}", condition.as_str()));
        }
        Ok(impossible)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(send) => {
                let Some(command) = self.definition.command_at(send.index) else { return };
                let input = command.input.evaluate(&self.state.context);
                let (name, steps) = match send.direction {
                    Direction::Do => (Some(&command.command), &mut self.sent),
                    Direction::Undo => (command.compensate.as_ref(), &mut self.undone),
                };
                if !steps.contains(&send.step) {
                    steps.push(send.step.clone());
                }
                let what = format!("  {} → {}", send.step, name.map_or("", String::as_str));
                let what = if send.attempt > 1 { format!("{what}, attempt {}", send.attempt) } else { what };
                self.inputs.insert(send.step.clone(), input.clone());
                self.timeline.push(Line { at: self.elapsed(), what, input: Some(Value::Object(input)) });
                self.out.push_back(send);
            }
            Effect::Tell { step, command, .. } => {
                self.tell(format!("  {} is pending → {command}", self.definition.name_of(step)));
            }
            Effect::Finish => {}
        }
    }

    fn tell(&mut self, what: String) {
        self.timeline.push(Line { at: self.elapsed(), what, input: None });
    }

    fn elapsed(&self) -> std::time::Duration {
        (self.now - BEGINNING).unsigned_abs()
    }
}
