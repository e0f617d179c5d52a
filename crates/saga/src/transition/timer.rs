//! What the passing of time does, and what a restart does.

use makegood_contracts::command::Direction;

use super::{
    Run, Verdict,
    forward::{DEADLINE_PASSED, NO_ANSWER},
};
use crate::{
    definition::{OnDeadline, StepKind},
    state::Status,
};

impl Run<'_> {
    /// Does what is due. Nothing is due while the saga is parked or paused.
    pub(super) fn on_wake(&mut self) -> Verdict {
        if self.state.parked.is_some() || self.state.paused.is_some() {
            return Verdict::Ignored;
        }
        let now = self.now;
        let due: Vec<usize> = (0..self.state.steps.len())
            .filter(|index| self.state.steps[*index].due.is_some_and(|due| due <= now))
            .collect();
        for index in &due {
            self.on_due(*index);
        }
        if due.is_empty() { Verdict::Ignored } else { Verdict::Moved }
    }

    fn on_due(&mut self, index: usize) {
        if let Some(why) = self.state.steps[index].needs_person.take() {
            self.park(index, why);
            return;
        }
        match self.state.steps[index].status {
            Status::Sent => self.on_silence(index, Direction::Do),
            Status::Undoing => self.on_silence(index, Direction::Undo),
            Status::Retrying => self.send(index, Direction::Do),
            Status::UndoRetrying => self.send(index, Direction::Undo),
            Status::Pending => self.on_still_pending(index),
            Status::Waiting => self.on_await_deadline(index),
            Status::Idle
            | Status::Done
            | Status::Refused
            | Status::Unknown
            | Status::Skipped
            | Status::DoneAnyway
            | Status::Undone => self.state.steps[index].due = None,
        }
    }

    /// No answer in time. It has waited long enough, so the next attempt goes out at once.
    fn on_silence(&mut self, index: usize, direction: Direction) {
        self.on_failure(index, direction, NO_ANSWER, "no answer in time");
        if matches!(self.state.steps[index].status, Status::Retrying | Status::UndoRetrying) {
            self.send(index, direction);
        }
    }

    fn on_still_pending(&mut self, index: usize) {
        let over = self.state.steps[index].pending_until.is_some_and(|until| until <= self.now);
        if !over {
            self.send(index, Direction::Do);
        } else if self.definition.is_committed(index) {
            self.park(index, "it has been pending for too long".to_owned());
        } else {
            self.give_up(index, DEADLINE_PASSED, "it has been pending for too long");
        }
    }

    fn on_await_deadline(&mut self, index: usize) {
        let StepKind::Await(step) = &self.definition.steps[index].kind else { return };
        match step.on_deadline {
            OnDeadline::Compensate => {
                self.note(index, DEADLINE_PASSED, &format!("the signal `{}` did not come in time", step.signal));
                self.state.steps[index].status = Status::Refused;
                self.state.steps[index].due = None;
            }
            OnDeadline::Continue => {
                self.state.steps[index].status = Status::Skipped;
                self.state.steps[index].due = None;
            }
            OnDeadline::Park => self.park(index, format!("the signal `{}` did not come in time", step.signal)),
        }
    }

    /// Sends again whatever is out. It costs no attempt of the retry budget: restarting is not the participant's fault.
    pub(super) fn on_recovery(&mut self) -> Verdict {
        if self.state.parked.is_some() || self.state.paused.is_some() {
            return Verdict::Ignored;
        }
        if self.send_again_what_is_out() { Verdict::Moved } else { Verdict::Ignored }
    }

    /// Whether anything was out.
    pub(super) fn send_again_what_is_out(&mut self) -> bool {
        let out: Vec<usize> = (0..self.state.steps.len())
            .filter(|index| matches!(self.state.steps[*index].status, Status::Sent | Status::Pending | Status::Undoing))
            .collect();
        for index in &out {
            self.send(*index, self.state.steps[*index].status.direction());
        }
        !out.is_empty()
    }
}
