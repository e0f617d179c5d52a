//! The way back: stage by stage in reverse, for every step that took effect or may have.

use makegood_contracts::{command::Direction, orchestrator::Reason, reply::Outcome};

use super::{Run, Verdict, forward::ATTEMPTS_FAILED};
use crate::state::{Phase, Status};

impl Run<'_> {
    /// Begins to undo with the stage that was reached.
    pub(super) fn turn_around(&mut self, because: Option<Reason>) {
        self.state.phase = Phase::Backward;
        self.state.called_off = None;
        // Whoever called it off comes before what the step that was out had to say.
        self.state.reasons.splice(0..0, because);
        self.begin_undoing();
    }

    /// Sends the undo of each of the stage's steps that may have taken effect and has one.
    fn begin_undoing(&mut self) {
        let Some(stage) = self.definition.stages.get(self.state.stage).cloned() else { return };
        for index in stage {
            if matches!(self.state.steps[index].status, Status::Done | Status::Unknown | Status::DoneAnyway) {
                self.undo(index);
            }
        }
    }

    /// Sends the step's undo for the first time, if it has one.
    fn undo(&mut self, index: usize) {
        if self.definition.command_at(index).is_none_or(|command| command.compensate.is_none()) {
            return;
        }
        let step = &mut self.state.steps[index];
        step.attempt = 0;
        step.failures = 0;
        step.pending_until = None;
        self.send(index, Direction::Undo);
    }

    /// Undoes steps that were skipped, and turned out to be done after the way back had passed them.
    pub(super) fn undo_latecomers(&mut self) {
        let passed = match self.state.phase {
            Phase::Backward => self.definition.stages.get(self.state.stage).map_or(0, |stage| stage.start),
            Phase::Forward | Phase::Finally | Phase::Completed | Phase::Compensated => 0,
        };
        for index in passed..self.definition.steps.len() {
            if self.state.steps[index].status == Status::DoneAnyway {
                self.undo(index);
            }
        }
    }

    /// Whether an undo is out.
    pub(super) fn is_undoing(&self) -> bool {
        self.state.steps.iter().any(|step| step.status.is_being_undone())
    }

    /// Once the stage is undone: the one before, or the end.
    pub(super) fn advance_backward(&mut self) -> bool {
        self.undo_latecomers();
        if self.is_undoing() {
            return false;
        }
        if self.state.stage == 0 {
            self.state.phase = Phase::Finally;
        } else {
            self.state.stage -= 1;
            self.begin_undoing();
        }
        true
    }

    /// An answer to an undo. A refusal is no answer here: undoing must succeed, so it counts as a failure.
    pub(super) fn on_undo_answer(&mut self, index: usize, outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Done { .. } => {
                self.state.steps[index].status = Status::Undone;
                self.state.steps[index].due = None;
                self.unpark(index);
            }
            Outcome::Failed { retryable: false, .. } if self.waits_for_a_person(index) => return Verdict::Ignored,
            Outcome::Failed { detail, retryable: false } => self.park(index, detail.clone()),
            Outcome::Failed { .. } | Outcome::Refused { .. } | Outcome::Pending { .. }
                if self.is_known_to_fail(index) =>
            {
                return Verdict::Ignored;
            }
            Outcome::Failed { detail, retryable: true } => {
                self.on_failure(index, Direction::Undo, ATTEMPTS_FAILED, detail)
            }
            Outcome::Refused { code, detail } => {
                self.on_failure(
                    index,
                    Direction::Undo,
                    ATTEMPTS_FAILED,
                    &format!("the undo was refused: {code}: {detail}"),
                );
            }
            Outcome::Pending { reason, .. } => {
                self.on_failure(index, Direction::Undo, ATTEMPTS_FAILED, &format!("the undo is pending: {reason}"))
            }
        }
        Verdict::Moved
    }
}
