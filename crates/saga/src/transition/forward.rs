//! The way forward: beginning stages, answers to actions, signals, calling off.

use makegood_contracts::{command::Direction, orchestrator::Reason, reply::Outcome};
use serde_json::Value;
use time::{Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{Run, Verdict, output::OUTPUT_OF};
use crate::{
    context,
    definition::{AwaitStep, Deadline, StepKind},
    effect::Effect,
    state::{Phase, Status},
};

/// A pending step is asked again this often: the safety net under a decision whose reply was lost.
const PENDING_ASKED_AGAIN: Duration = Duration::seconds(30);
/// The code of a saga that turned around because a deadline passed.
pub(super) const DEADLINE_PASSED: &str = "deadline_passed";
/// The code of a saga that turned around because a participant stayed silent.
pub(super) const NO_ANSWER: &str = "no_answer";
/// The code of a saga that turned around because a participant failed as often as it was asked.
pub(super) const ATTEMPTS_FAILED: &str = "attempts_failed";

impl Run<'_> {
    /// Sends the stage's commands and takes up its awaits.
    pub(super) fn begin_stage(&mut self) {
        let Some(stage) = self.definition.stages.get(self.state.stage) else { return };
        for index in stage.clone() {
            let step = &self.definition.steps[index];
            if step.when.as_ref().is_some_and(|when| !when.holds(&self.state.context)) {
                self.state.steps[index].status = Status::Skipped;
                continue;
            }
            match &step.kind {
                StepKind::Command(_) => self.send(index, Direction::Do),
                StepKind::Await(step) => self.begin_await(index, step),
            }
        }
    }

    fn begin_await(&mut self, index: usize, step: &AwaitStep) {
        if let Some(payload) = self.state.signals.get(&step.signal) {
            match self.acceptable(index, payload) {
                Ok(()) => self.complete(index, payload.clone()),
                Err(why) => {
                    self.state.steps[index].status = Status::Waiting;
                    self.park(index, why);
                }
            }
            return;
        }
        match self.deadline(&step.deadline) {
            Some(deadline) => {
                self.state.steps[index].status = Status::Waiting;
                self.state.steps[index].due = Some(deadline);
            }
            None => {
                self.state.steps[index].status = Status::Waiting;
                self.park(index, "the deadline's path finds no RFC 3339 time in the context".to_owned());
            }
        }
    }

    /// The deadline of an await that begins to wait now.
    pub(super) fn await_deadline(&self, index: usize) -> Option<OffsetDateTime> {
        match &self.definition.steps.get(index)?.kind {
            StepKind::Await(step) => self.deadline(&step.deadline),
            StepKind::Command(_) => None,
        }
    }

    fn deadline(&self, deadline: &Deadline) -> Option<OffsetDateTime> {
        match deadline {
            Deadline::After(duration) => Some(self.later(*duration)),
            Deadline::At(path) => match path.evaluate_single(&self.state.context)? {
                Value::String(text) => {
                    let time = OffsetDateTime::parse(&text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
                    // RFC 3339 writes the years 0 to 9999, and PostgreSQL has no year 0.
                    (1..=9999).contains(&time.year()).then_some(time)
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
            },
        }
    }

    /// Once the stage is decided: the next one, the end, or the way back.
    pub(super) fn advance_forward(&mut self) -> bool {
        let Some(stage) = self.definition.stages.get(self.state.stage).cloned() else {
            self.state.phase = Phase::Finally;
            return true;
        };
        if self.state.called_off.is_some() {
            self.give_up_waiting(stage.clone());
        }
        let statuses = || stage.clone().map(|index| self.state.steps[index].status);
        if statuses().any(|status| matches!(status, Status::Refused | Status::Unknown)) {
            self.stop_awaiting(stage.clone());
        }
        let statuses = || stage.clone().map(|index| self.state.steps[index].status);
        let is_well = |status| matches!(status, Status::Done | Status::Skipped | Status::DoneAnyway);
        if !statuses().all(|status| is_well(status) || matches!(status, Status::Refused | Status::Unknown)) {
            return false;
        }
        let all_well = statuses().all(is_well);
        let past_pivot = self.definition.pivot.is_some_and(|pivot| stage.end > pivot);
        match self.state.called_off.clone().filter(|_| !past_pivot) {
            Some(reason) => self.turn_around(Some(reason)),
            None if all_well => {
                self.state.stage += 1;
                if self.state.stage < self.definition.stages.len() {
                    self.begin_stage();
                } else {
                    self.state.phase = Phase::Finally;
                }
            }
            None => self.turn_around(None),
        }
        true
    }

    /// A saga that is called off waits for nobody outside: for no signal, for no pending step, which is undone wherever it is, and for no
    /// operator. Commands that are out are waited for.
    fn give_up_waiting(&mut self, stage: std::ops::Range<usize>) {
        for index in stage {
            let step = &self.state.steps[index];
            let waits_outside = step.status == Status::Pending || step.needs_person.is_some();
            if step.status == Status::Waiting || (waits_outside && !self.definition.is_committed(index)) {
                self.leave_undecided(index);
            }
        }
    }

    /// A group that turns around for a member's sake awaits no signal any more: there is nothing to undo in it, and what its siblings did
    /// would stay for as long.
    fn stop_awaiting(&mut self, stage: std::ops::Range<usize>) {
        for index in stage {
            if self.state.steps[index].status == Status::Waiting {
                self.leave_undecided(index);
            }
        }
    }

    pub(super) fn complete(&mut self, index: usize, output: Value) {
        let step = &mut self.state.steps[index];
        step.status = Status::Done;
        step.due = None;
        step.pending_until = None;
        self.state.context.insert(self.definition.name_of(index).to_owned(), output);
        self.unpark(index);
    }

    /// A decision about the parked step is what the operator would have been asked for.
    pub(super) fn unpark(&mut self, index: usize) {
        self.state.steps[index].needs_person = None;
        if self.is_parked(index) {
            self.state.parked = None;
        }
    }

    pub(super) fn is_parked(&self, index: usize) -> bool {
        self.state.is_parked_at(self.definition, index)
    }

    /// Whether a failure is no news: the same one told twice, or an older one, now that an operator has been asked or
    /// will be as soon as a sibling is settled.
    pub(super) fn is_known_to_fail(&self, index: usize) -> bool {
        let step = &self.state.steps[index];
        let retry = self.definition.command_at(index).map(|command| command.retry_of(step.status.direction()));
        let is_used_up = retry.is_some_and(|retry| step.failures >= retry.attempts);
        matches!(step.status, Status::Retrying | Status::UndoRetrying)
            || self.waits_for_a_person(index)
            || (is_used_up && self.state.parked.is_some())
    }

    /// Whether a no can only be settled by a person: it comes from after the pivot, or from `finally`.
    fn has_no_way_back(&self, index: usize) -> bool {
        self.definition.pivot.is_some_and(|pivot| index > pivot) || index == self.definition.steps.len()
    }

    /// Whether the step is parked, or has its turn as soon as a sibling is settled: told once more, it is no news.
    pub(super) fn waits_for_a_person(&self, index: usize) -> bool {
        self.state.is_for_a_person(self.definition, index)
    }

    /// An answer to an action that is out.
    pub(super) fn on_answer(&mut self, index: usize, outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Done { output } => self.complete(index, output.clone()),
            Outcome::Refused { .. } if self.has_no_way_back(index) && self.waits_for_a_person(index) => {
                return Verdict::Ignored;
            }
            Outcome::Refused { code, detail } => self.on_refusal(index, code, detail),
            Outcome::Pending { reason, detail } => return self.on_pending(index, reason, detail),
            Outcome::Failed { retryable: false, .. } if self.waits_for_a_person(index) => return Verdict::Ignored,
            Outcome::Failed { retryable: true, .. } if self.is_known_to_fail(index) => return Verdict::Ignored,
            Outcome::Failed { detail, retryable: false } => {
                self.state.steps[index].has_said_done |= detail.starts_with(OUTPUT_OF);
                self.park(index, detail.clone());
            }
            Outcome::Failed { detail, retryable: true } => {
                self.on_failure(index, Direction::Do, ATTEMPTS_FAILED, detail)
            }
        }
        Verdict::Moved
    }

    /// A no from the pivot or before turns the saga around; after the pivot, and from `finally`, it needs a person.
    fn on_refusal(&mut self, index: usize, code: &str, detail: &str) {
        if self.has_no_way_back(index) {
            self.park(index, format!("refused where there is no way back: {code}: {detail}"));
            return;
        }
        self.note(index, code, detail);
        self.state.steps[index].status = Status::Refused;
        self.state.steps[index].due = None;
        self.unpark(index);
    }

    fn on_pending(&mut self, index: usize, reason: &str, detail: &Value) -> Verdict {
        let Some(command) = self.definition.command_at(index) else { return Verdict::Ignored };
        let first = self.state.steps[index].status != Status::Pending;
        let until = self.later(command.pending_deadline);
        let step = &mut self.state.steps[index];
        step.status = Status::Pending;
        let until = *step.pending_until.get_or_insert(until);
        step.due = Some(until.min(self.now.saturating_add(PENDING_ASKED_AGAIN)));
        // A paused saga tells nothing: once it goes on it asks again, and then it tells. One that is called off waits for nobody.
        let tells = self.state.paused.is_none() && self.state.called_off.is_none();
        if let Some(tell) = command.pending.as_ref().filter(|_| tells) {
            let payload = serde_json::json!({ "reason": reason, "detail": detail });
            self.effects.push(Effect::Tell { step: index, command: tell.clone(), payload });
        }
        // The step answers "still pending" to each asking; that is told again but is no news for the log.
        if first { Verdict::Moved } else { Verdict::Ignored }
    }

    /// An attempt that failed or stayed unanswered: again later, or given up with this code.
    pub(super) fn on_failure(&mut self, index: usize, direction: Direction, code: &str, detail: &str) {
        let Some(command) = self.definition.command_at(index) else { return };
        let retry = command.retry_of(direction);
        let step = &mut self.state.steps[index];
        step.failures += 1;
        let failures = step.failures;
        if failures < retry.attempts {
            step.status = if direction == Direction::Do { Status::Retrying } else { Status::UndoRetrying };
            let due = self.later(self.delay(index, retry, failures));
            self.state.steps[index].due = Some(due);
        } else if direction == Direction::Do && !self.definition.is_committed(index) {
            self.give_up(index, code, detail);
        } else {
            self.park(index, format!("{failures} attempts failed; the last one: {detail}"));
        }
    }

    /// Whether the step took effect is not known, so it is undone like one that did.
    pub(super) fn give_up(&mut self, index: usize, code: &str, detail: &str) {
        self.note(index, code, detail);
        self.state.steps[index].status = Status::Unknown;
        self.state.steps[index].due = None;
    }

    pub(super) fn on_signal(&mut self, signal: &str, payload: &Value) -> Verdict {
        let Some(index) = self.definition.index_awaiting(signal) else {
            return Verdict::Unexpected(self.definition.awaits_no(signal));
        };
        match self.state.steps[index].status {
            Status::Waiting => {
                if let Err(why) = self.acceptable(index, payload) {
                    return Verdict::Refused(why);
                }
                self.state.signals.insert(signal.to_owned(), payload.clone());
                self.complete(index, payload.clone());
                Verdict::Moved
            }
            // Before the step is reached: kept for it. The first one counts.
            Status::Idle if self.state.phase == Phase::Forward && !self.state.signals.contains_key(signal) => {
                let waiting = self.state.signals.iter().filter(|(signal, _)| self.is_yet_to_be_read(signal));
                let kept: usize = waiting.map(|(signal, payload)| context::entry_bytes(signal, payload)).sum();
                let fits = self.fits(kept + context::entry_bytes(signal, payload));
                if let Err(why) = self.acceptable(index, payload).and(fits) {
                    return Verdict::Refused(why);
                }
                self.state.signals.insert(signal.to_owned(), payload.clone());
                Verdict::Moved
            }
            Status::Idle
            | Status::Sent
            | Status::Retrying
            | Status::Pending
            | Status::Done
            | Status::Refused
            | Status::Unknown
            | Status::Skipped
            | Status::DoneAnyway
            | Status::Undoing
            | Status::UndoRetrying
            | Status::Undone => Verdict::Ignored,
        }
    }

    /// Whether a signal that is kept becomes part of the context later.
    fn is_yet_to_be_read(&self, signal: &str) -> bool {
        self.definition.index_awaiting(signal).is_some_and(|index| self.state.steps[index].status == Status::Idle)
    }

    pub(super) fn on_cancel(&mut self, code: &str, detail: &str) -> Verdict {
        if self.state.phase != Phase::Forward || self.state.called_off.is_some() {
            return Verdict::Ignored;
        }
        if self.state.cannot_begin(self.definition).is_some() {
            return self.end_unbegun(code, detail);
        }
        if let Some(refused) = self.reached_pivot() {
            return refused;
        }
        self.leave_parked_undecided();
        self.call_off(code, detail)
    }

    /// Nobody is asked about the parked step any more: nothing of it is out.
    pub(super) fn leave_parked_undecided(&mut self) {
        let parked = self.state.parked.take();
        if let Some(index) = parked.and_then(|parked| self.definition.index_of(&parked.step)) {
            self.leave_undecided(index);
        }
    }

    /// Turns a saga around that could not begin. Nothing of it was sent, and so nothing is undone, wherever its pivot is.
    pub(super) fn end_unbegun(&mut self, code: &str, detail: &str) -> Verdict {
        // Whoever asks has seen that it is parked.
        let Some(parked) = self.state.parked.take() else { return Verdict::Ignored };
        self.turn_around(Some(Reason { step: parked.step, code: code.to_owned(), detail: detail.to_owned() }));
        Verdict::Moved
    }

    /// The refusal of whoever would turn the saga around, once its pivot is out: it may have taken effect.
    pub(super) fn reached_pivot(&self) -> Option<Verdict> {
        let pivot = self.definition.pivot?;
        match self.state.steps[pivot].status {
            Status::Idle | Status::Refused => None,
            Status::Sent
            | Status::Retrying
            | Status::Pending
            | Status::Waiting
            | Status::Done
            | Status::Unknown
            | Status::Skipped
            | Status::DoneAnyway
            | Status::Undoing
            | Status::UndoRetrying
            | Status::Undone => Some(Verdict::Refused(format!(
                "the saga has reached its pivot, `{}`: it can only go on",
                self.definition.name_of(pivot)
            ))),
        }
    }

    /// The saga turns around once its stage is decided.
    pub(super) fn call_off(&mut self, code: &str, detail: &str) -> Verdict {
        let step = self.state.current_step(self.definition).unwrap_or_default().to_owned();
        self.state.called_off.get_or_insert(Reason { step, code: code.to_owned(), detail: detail.to_owned() });
        Verdict::Moved
    }
}
