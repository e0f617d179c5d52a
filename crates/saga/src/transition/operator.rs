//! What an operator can do to one saga. Who and why stands in the event, and so in the log.

use makegood_contracts::command::Direction;
use serde_json::Value;

use super::{Run, Verdict};
use crate::state::{Phase, Status};

impl Run<'_> {
    /// Sends what is out, or parked, at once, with a fresh budget of attempts.
    pub(super) fn on_retry(&mut self) -> Verdict {
        let parked = self.state.parked.take().and_then(|parked| self.definition.index_of(&parked.step));
        let retried: Vec<usize> = (0..self.state.steps.len())
            .filter(|index| {
                Some(*index) == parked
                    || matches!(
                        self.state.steps[*index].status,
                        Status::Sent | Status::Retrying | Status::Pending | Status::Undoing | Status::UndoRetrying
                    )
            })
            .collect();
        if retried.is_empty() {
            return Verdict::Refused("nothing is out that could be sent again: the saga waits for a signal".to_owned());
        }
        for index in retried {
            self.state.steps[index].failures = 0;
            if self.state.steps[index].status == Status::Waiting {
                // An await that parked at its deadline waits on, without one.
                self.state.steps[index].due = None;
                continue;
            }
            let direction = if self.state.phase == Phase::Backward { Direction::Undo } else { Direction::Do };
            self.send(index, direction);
        }
        Verdict::Moved
    }

    /// Turns the saga around now. A step that is out counts as one that may have taken effect.
    pub(super) fn on_forced_compensation(&mut self, actor: &str, reason: &str) -> Verdict {
        if self.state.phase != Phase::Forward {
            return Verdict::Refused("the saga is compensating or finishing already".to_owned());
        }
        let Some(stage) = self.definition.stages.get(self.state.stage).cloned() else {
            return Verdict::Refused("every step is done".to_owned());
        };
        if self.definition.pivot.is_some_and(|pivot| stage.end > pivot) {
            return Verdict::Refused("the saga has reached its pivot: it can only go on".to_owned());
        }
        let first = stage.start;
        for index in stage {
            let step = &mut self.state.steps[index];
            step.due = None;
            step.status = match step.status {
                Status::Sent | Status::Retrying | Status::Pending => Status::Unknown,
                Status::Waiting | Status::Idle => Status::Skipped,
                decided @ (Status::Done
                | Status::Refused
                | Status::Unknown
                | Status::Skipped
                | Status::Undoing
                | Status::UndoRetrying
                | Status::Undone) => decided,
            };
        }
        self.state.parked = None;
        self.note(first, "compensation_forced", &format!("{actor}: {reason}"));
        self.turn_around(None);
        Verdict::Moved
    }

    /// Takes the parked step as settled by hand: done on the way forward, undone on the way back.
    pub(super) fn on_resolution(&mut self, step: &str, output: &Value) -> Verdict {
        if self.state.parked.as_ref().is_none_or(|parked| parked.step != step) {
            return Verdict::Refused(format!("only a parked step can be resolved by hand, and `{step}` is not parked"));
        }
        let Some(index) = self.definition.index_of(step) else {
            return Verdict::Refused(format!("the definition has no step `{step}`"));
        };
        if self.state.phase != Phase::Backward
            && let Err(why) = self.acceptable(index, output)
        {
            return Verdict::Refused(why);
        }
        self.state.parked = None;
        let step = &mut self.state.steps[index];
        step.due = None;
        step.pending_until = None;
        if self.state.phase == Phase::Backward {
            step.status = Status::Undone;
        } else {
            step.status = Status::Done;
            self.state.context.insert(self.definition.name_of(index).to_owned(), output.clone());
        }
        Verdict::Moved
    }
}
