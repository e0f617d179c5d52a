//! What an operator can do to one saga. Who and why stands in the event, and so in the log.
//!
//! | | running, waiting | parked | paused | compensating | finishing | ended |
//! |---|---|---|---|---|---|---|
//! | retry | sends what is out again | sends the parked step again | refused: resume it first | sends undos again | sends `finally` again | refused |
//! | skip | a step that is out or waits | the parked step | the same, and goes on once resumed | refused | `finally` | refused |
//! | resolve | refused | the parked step | the parked step, if it is parked too | the parked undo | a parked `finally` | refused |
//! | compensate, cancel | before the pivot | before the pivot | before the pivot, and turns around once resumed | refused | refused | refused |
//! | pause | holds it | holds it | refused | holds it | holds it | refused |
//! | resume | refused | refused | goes on | refused | refused | refused |
//! | move version | only while it waits | if compatible | if compatible | refused | refused | refused |
//!
//! Cancelling waits for what is out (not for what is pending: that waits for somebody outside) and then turns around; forcing compensation turns around at once and undoes what is
//! out as if it had taken effect. A parked step has no outcome to wait for, so cancelling takes it as one whose outcome
//! is unknown.
//!
//! Pausing is in [`pause`](super::pause), skipping in [`skip`](super::skip), moving in [`version`](super::version).

use serde_json::Value;

use super::{Run, Verdict};
use crate::{
    definition::FINALLY,
    state::{Phase, Status},
};

/// The code of a saga that an operator turned around at once.
const COMPENSATION_FORCED: &str = "compensation_forced";
/// The code of a saga that an operator called off.
const CANCELLED: &str = "cancelled";
/// What `finally` tells whoever began the saga, a buyer perhaps. Who it was, and why, is for the log and the audit alone.
const FORCED_DETAIL: &str = "An operator turned it around.";
const CANCELLED_DETAIL: &str = "An operator called it off.";

impl Run<'_> {
    /// Sends what is out, or parked, at once, with a fresh budget of attempts.
    pub(super) fn on_retry(&mut self) -> Verdict {
        if self.state.paused.is_some() {
            return Verdict::Refused("the saga is paused: resume it, and what is out is sent again".to_owned());
        }
        if let Some(why) = self.state.cannot_begin(self.definition) {
            return Verdict::Refused(why);
        }
        let parked = self.state.parked.as_ref().and_then(|parked| self.definition.index_of(&parked.step));
        if let Some(index) = parked.filter(|index| self.state.steps[*index].status == Status::Waiting)
            && self.await_deadline(index).is_none_or(|deadline| deadline <= self.now)
        {
            return Verdict::Refused(
                "the signal's deadline is a time that has passed, or none: give the signal, skip the step, or compensate"
                    .to_owned(),
            );
        }
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
        self.state.parked = None;
        for index in retried {
            self.state.steps[index].failures = 0;
            if Some(index) == parked {
                // It may have parked because it was pending for too long: then it is asked as if for the first time, and has all of its
                // patience if it says once more that it is pending. One that still waits keeps its end.
                self.state.steps[index].pending_until = None;
                if self.state.steps[index].status == Status::Pending {
                    self.state.steps[index].status = Status::Sent;
                }
            }
            if self.state.steps[index].status == Status::Waiting {
                // An await that parked at its deadline waits for as long once more.
                self.state.steps[index].due = self.await_deadline(index);
                continue;
            }
            self.send(index, self.state.steps[index].status.direction());
        }
        Verdict::Moved
    }

    /// Turns the saga around now. A step that is out counts as one that may have taken effect.
    pub(super) fn on_forced_compensation(&mut self) -> Verdict {
        if let Some(refused) = self.no_way_back() {
            return refused;
        }
        if self.state.cannot_begin(self.definition).is_some() {
            return self.end_unbegun(COMPENSATION_FORCED, FORCED_DETAIL);
        }
        let Some(stage) = self.definition.stages.get(self.state.stage).cloned() else {
            return Verdict::Refused("every step is done".to_owned());
        };
        if self.state.paused.is_some() && self.state.called_off.is_some() && !self.is_undecided(stage.clone()) {
            return Verdict::Refused("the saga is called off already, and turns around once it is resumed".to_owned());
        }
        for index in stage {
            self.leave_undecided(index);
        }
        self.state.parked = None;
        self.call_off(COMPENSATION_FORCED, FORCED_DETAIL)
    }

    /// Turns the saga around once what is out is decided. Nothing is out in a step that is parked, so that is left as it is.
    pub(super) fn on_operators_cancel(&mut self) -> Verdict {
        if let Some(refused) = self.no_way_back() {
            return refused;
        }
        if self.state.cannot_begin(self.definition).is_some() {
            return self.end_unbegun(CANCELLED, CANCELLED_DETAIL);
        }
        if self.state.called_off.is_some() && self.state.parked.is_none() {
            let step = self.state.current_step(self.definition).unwrap_or(FINALLY);
            return Verdict::Refused(match self.state.paused {
                Some(_) => "the saga is called off already, and turns around once it is resumed".to_owned(),
                None => format!("the saga is called off already: it waits for `{step}` to be decided"),
            });
        }
        self.leave_parked_undecided();
        self.call_off(CANCELLED, CANCELLED_DETAIL)
    }

    /// Whether a step of the stage is out or waits, which being turned around at once would change.
    fn is_undecided(&self, mut stage: std::ops::Range<usize>) -> bool {
        stage.any(|index| {
            matches!(
                self.state.steps[index].status,
                Status::Sent | Status::Retrying | Status::Pending | Status::Waiting | Status::Idle
            )
        })
    }

    fn no_way_back(&self) -> Option<Verdict> {
        match self.state.phase {
            Phase::Forward => self.reached_pivot(),
            Phase::Backward => Some(Verdict::Refused("the saga is compensating already".to_owned())),
            Phase::Finally | Phase::Completed | Phase::Compensated => {
                Some(Verdict::Refused("every step is decided: the saga can only finish".to_owned()))
            }
        }
    }

    /// Nobody waits for the step any more: it may have taken effect if it was ever sent.
    pub(super) fn leave_undecided(&mut self, index: usize) {
        let step = &mut self.state.steps[index];
        step.due = None;
        step.needs_person = None;
        step.status = match step.status {
            Status::Sent | Status::Retrying | Status::Pending => Status::Unknown,
            Status::Waiting | Status::Idle => Status::Skipped,
            decided @ (Status::Done
            | Status::Refused
            | Status::Unknown
            | Status::Skipped
            | Status::DoneAnyway
            | Status::Undoing
            | Status::UndoRetrying
            | Status::Undone) => decided,
        };
    }

    /// Takes the parked step as settled by hand: done on the way forward, undone on the way back.
    pub(super) fn on_resolution(&mut self, step: &str, output: &Value) -> Verdict {
        if let Some(why) = self.state.cannot_begin(self.definition) {
            return Verdict::Refused(why);
        }
        let parked = self.state.parked.as_ref().filter(|parked| parked.step == step);
        let Some(index) = parked.and_then(|parked| self.definition.index_of(&parked.step)) else {
            return Verdict::Refused(format!("only a parked step can be resolved by hand, and `{step}` is not parked"));
        };
        if self.state.steps[index].status.is_being_undone() {
            if let Err(why) = self.keep_beside(index, output) {
                return Verdict::Refused(why);
            }
            self.state.steps[index].status = Status::Undone;
            self.state.steps[index].due = None;
            self.state.parked = None;
        } else if let Err(why) = self.acceptable(index, output) {
            return Verdict::Refused(why);
        } else {
            self.complete(index, output.clone());
            self.state.steps[index].is_settled_by_hand = true;
        }
        Verdict::Moved
    }
}
