//! How a saga moves: one pure function, and the one `match` that says what each event does.
//!
//! Rules that hold throughout:
//! - A step is decided once. What comes later is a duplicate, or a conflict that is logged and changes nothing.
//! - Before the pivot a step may be given up: whether it took effect is then unknown, and it is undone like a done one.
//! - From the pivot on nothing is given up: it is repeated until it is done, and parked when its attempts are used up.
//! - Undoing runs stage by stage in reverse, for steps that took effect or may have. It is never given up either.
//! - A paused saga decides and sends nothing: what comes is taken in as if it came at the instant of the pause.

mod backward;
mod forward;
mod late;
mod operator;
mod output;
mod pause;
mod skip;
mod timer;
mod version;

use makegood_contracts::{command::Direction, orchestrator::Reason, reply::Outcome};
use time::OffsetDateTime;

use crate::{
    definition::{Definition, Retry},
    effect::{Effect, Send},
    event::Event,
    state::{Parked, Phase, State, Status},
};

pub use version::move_version;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The saga moved; the event is a row of its log.
    Moved,
    /// Nothing new: a repetition, or a timer that was early.
    Ignored,
    /// It contradicts what was decided, which stays: logged and alarmed. At most it makes one more step one to be undone.
    Conflict(String),
    /// It cannot be: an answer to a question that was never asked.
    Unexpected(String),
    /// Asked by someone, and not possible now; worded for them.
    Refused(String),
}

/// The result of an event.
#[derive(Debug, Clone)]
pub struct Transition {
    pub state: State,
    pub effects: Vec<Effect>,
    pub verdict: Verdict,
    /// What stands in the log instead of the event: an output that was not accepted is logged as the failure that it counts as, or as none,
    /// so that the log's outputs are the context. None: the event itself.
    pub logged: Option<Event>,
}

/// What an event does to a saga at an instant of the database's clock.
pub fn transition(definition: &Definition, state: State, event: &Event, now: OffsetDateTime) -> Transition {
    let mut run = Run { definition, now: pause::clock(&state, event, now), state, effects: Vec::new() };
    let mut logged = run.unacceptable(event);
    let event = logged.as_ref().unwrap_or(event);
    // Whoever is told that a step is pending has nothing to decide: what it answers is heard, and that is all.
    let verdict = if matches!(event, Event::Replied { step, .. } if definition.tells_pending(step)) {
        Verdict::Ignored
    } else if run.state.phase.has_ended() {
        run.after_the_end(event)
    } else {
        run.on(event)
    };
    if let Some(without_output) = run.keep_contradiction(event, &verdict) {
        logged = Some(without_output);
    }
    match verdict {
        // A conflict may leave something to undo.
        Verdict::Moved | Verdict::Conflict(_) => run.advance(),
        Verdict::Ignored | Verdict::Unexpected(_) | Verdict::Refused(_) => {}
    }
    Transition { state: run.state, effects: run.effects, verdict, logged }
}

/// One transition under way.
struct Run<'a> {
    definition: &'a Definition,
    state: State,
    now: OffsetDateTime,
    effects: Vec<Effect>,
}

impl Run<'_> {
    fn on(&mut self, event: &Event) -> Verdict {
        match event {
            Event::Started => self.start(),
            Event::Replied { step, direction, outcome, .. } => match self.definition.index_of(step) {
                None => Verdict::Unexpected(format!("the definition has no step `{step}`")),
                Some(index) => self.on_reply(index, *direction, outcome),
            },
            Event::Signalled { signal, payload, .. } => self.on_signal(signal, payload),
            Event::Cancelled { code, detail } => self.on_cancel(code, detail),
            Event::Woke => self.on_wake(),
            Event::Recovered => self.on_recovery(),
            Event::Retried { .. } => self.on_retry(),
            Event::Paused { actor, reason } => self.on_pause(actor, reason),
            Event::Resumed { .. } => self.on_resume(),
            Event::StepSkipped { step, output, .. } => self.on_skip(step, output),
            Event::CompensationForced { .. } => self.on_forced_compensation(),
            Event::CancelledByOperator { .. } => self.on_operators_cancel(),
            Event::VersionMoved { .. } => {
                Verdict::Refused("a saga is moved with both versions of its definition at hand".to_owned())
            }
            Event::Resolved { step, output, .. } => self.on_resolution(step, output),
        }
    }

    /// A saga that has ended stays as it is.
    fn after_the_end(&self, event: &Event) -> Verdict {
        match event {
            Event::Replied { step, direction, outcome, .. } => self.reply_after_the_end(step, *direction, outcome),
            Event::Started | Event::Signalled { .. } | Event::Woke | Event::Recovered => Verdict::Ignored,
            Event::CompensationForced { .. } | Event::CancelledByOperator { .. } => Verdict::Refused(
                "the saga has ended: what it did is undone by another saga, such as a cancellation or a return"
                    .to_owned(),
            ),
            Event::Cancelled { .. }
            | Event::Retried { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::StepSkipped { .. }
            | Event::VersionMoved { .. }
            | Event::Resolved { .. } => Verdict::Refused("the saga has ended".to_owned()),
        }
    }

    fn start(&mut self) -> Verdict {
        let begun = self.state.stage > 0 || self.state.steps.iter().any(|step| step.status != Status::Idle);
        if begun {
            return Verdict::Ignored;
        }
        if let Err(why) = self.fits(0) {
            self.park(0, why);
            return Verdict::Moved;
        }
        self.begin_stage();
        Verdict::Moved
    }

    fn on_reply(&mut self, index: usize, direction: Direction, outcome: &Outcome) -> Verdict {
        let status = self.state.steps[index].status;
        match (direction, status) {
            (Direction::Do, Status::Sent | Status::Retrying | Status::Pending) => self.on_answer(index, outcome),
            (Direction::Undo, Status::Undoing | Status::UndoRetrying) => self.on_undo_answer(index, outcome),
            (Direction::Do, Status::Done) => self.repeated_done(index, outcome),
            (Direction::Do, Status::Refused) => match outcome {
                Outcome::Done { .. } => Verdict::Conflict("the step was refused and now says done".to_owned()),
                Outcome::Refused { .. } | Outcome::Pending { .. } | Outcome::Failed { .. } => Verdict::Ignored,
            },
            // Given up or being undone: whatever it says now, its undo makes it good.
            (
                Direction::Do,
                Status::Unknown | Status::DoneAnyway | Status::Undoing | Status::UndoRetrying | Status::Undone,
            ) => Verdict::Ignored,
            (Direction::Do, Status::Skipped) if self.was_sent(index) => self.on_answer_of_skipped(index, outcome),
            (Direction::Undo, Status::Undone) => Verdict::Ignored,
            (Direction::Do, Status::Idle | Status::Waiting | Status::Skipped) => {
                Verdict::Unexpected(format!("step `{}` was not sent", self.definition.name_of(index)))
            }
            (
                Direction::Undo,
                Status::Idle
                | Status::Sent
                | Status::Retrying
                | Status::Pending
                | Status::Waiting
                | Status::Done
                | Status::Refused
                | Status::Unknown
                | Status::Skipped
                | Status::DoneAnyway,
            ) => Verdict::Unexpected(format!("the undo of step `{}` was not sent", self.definition.name_of(index))),
        }
    }

    fn repeated_done(&self, index: usize, outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Done { output } => {
                let known = self.state.context.get(self.definition.name_of(index));
                if known.is_none_or(|known| known == output) {
                    Verdict::Ignored
                } else {
                    Verdict::Conflict("the step was done with another output".to_owned())
                }
            }
            Outcome::Refused { .. } => Verdict::Conflict("the step was done and now says refused".to_owned()),
            Outcome::Pending { .. } | Outcome::Failed { .. } => Verdict::Ignored,
        }
    }

    /// Goes on as far as it goes without an answer from outside.
    fn advance(&mut self) {
        while self.state.parked.is_none() && self.state.paused.is_none() {
            let went_on = match self.state.phase {
                Phase::Forward => self.advance_forward(),
                Phase::Backward => self.advance_backward(),
                Phase::Finally => self.advance_finally(),
                Phase::Completed | Phase::Compensated => false,
            };
            if !went_on {
                return;
            }
        }
    }

    /// `finally` first, if the definition has one; then the end.
    fn advance_finally(&mut self) -> bool {
        if !self.state.reasons.is_empty() {
            self.undo_latecomers();
        }
        if self.is_undoing() {
            return false;
        }
        let index = self.definition.steps.len();
        match (self.definition.finally.as_ref(), self.state.steps[index].status) {
            (Some(_), Status::Idle) => {
                self.send(index, Direction::Do);
                false
            }
            (None, _) | (Some(_), Status::Done | Status::Skipped | Status::DoneAnyway) => {
                self.state.phase = if self.state.reasons.is_empty() { Phase::Completed } else { Phase::Compensated };
                self.effects.push(Effect::Finish);
                false
            }
            (Some(_), _) => false,
        }
    }

    /// Sends the step's command, or its undo, once more.
    fn send(&mut self, index: usize, direction: Direction) {
        let Some(command) = self.definition.command_at(index) else { return };
        let due = self.later(command.timeout);
        let step = &mut self.state.steps[index];
        step.needs_person = None;
        step.attempt += 1;
        // A step's patience may end before this asking's time does; where it is over, it has one asking to say what has become of it.
        let until = step.pending_until.filter(|until| step.status == Status::Pending && *until > self.now);
        step.due = Some(until.map_or(due, |until| due.min(until)));
        step.status = match (direction, step.status) {
            // Asking a pending step again does not make it less pending.
            (Direction::Do, Status::Pending) => Status::Pending,
            (Direction::Do, _) => Status::Sent,
            (Direction::Undo, _) => Status::Undoing,
        };
        // Whoever may not be given up on must not be refused for being late either.
        let deadline = (direction == Direction::Do && !self.definition.is_committed(index)).then_some(due);
        self.effects.push(Effect::Send(Send {
            index,
            step: self.definition.name_of(index).to_owned(),
            direction,
            attempt: self.state.steps[index].attempt,
            deadline: deadline.filter(|_| index < self.definition.steps.len()),
        }));
    }

    /// One step at a time is parked. A sibling that needs an operator too is due at once, and so is parked as soon as the first one
    /// is settled.
    ///
    /// A saga that is called off asks nobody, where it can turn around.
    fn park(&mut self, index: usize, why: String) {
        if self.state.phase == Phase::Forward && self.state.called_off.is_some() && !self.definition.is_committed(index)
        {
            self.leave_undecided(index);
            return;
        }
        let step = &mut self.state.steps[index];
        if self.state.parked.as_ref().is_some_and(|parked| parked.step != self.definition.name_of(index)) {
            step.due = Some(self.now);
            step.needs_person = Some(why);
            return;
        }
        step.due = None;
        step.needs_person = None;
        self.state.parked = Some(Parked { step: self.definition.name_of(index).to_owned(), why });
    }

    /// Notes a reason for turning around. The first one is the saga's; siblings' are kept beside it.
    fn note(&mut self, index: usize, code: &str, detail: &str) {
        self.state.reasons.push(Reason {
            step: self.definition.name_of(index).to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        });
    }

    /// An instant after this one; the last one that there is, where that is too far.
    fn later(&self, duration: std::time::Duration) -> OffsetDateTime {
        self.now.saturating_add(duration.try_into().unwrap_or(time::Duration::MAX))
    }

    /// The delay before another attempt: full jitter, from the saga, the step and the attempt, so that a test or a
    /// recovery that asks again gets the same answer, and many sagas never come in step.
    fn delay(&self, index: usize, retry: Retry, failures: u32) -> std::time::Duration {
        let longest = retry.longest_delay(failures);
        let seed = self.state.saga_id.as_u128() as u64 ^ ((index as u64) << 32) ^ u64::from(failures);
        longest.mul_f64(fraction(seed))
    }
}

/// A well-mixed number from 0 to 1 (SplitMix64's finalizer, Steele et al. 2014).
fn fraction(seed: u64) -> f64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // 53 bits are what a double holds exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}
