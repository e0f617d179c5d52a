//! Going on without a step, and what happens when the step turns out to be done after all.
//!
//! A skipped step is not undone: nothing is known of it but that the saga goes on without it. One that has said done, with an
//! output that was not accepted, is: its effect is known. If one that was out says done later, that is a conflict; the stand-in
//! output stays, and from then on the step is undone like any other.

use makegood_contracts::reply::Outcome;
use serde_json::Value;

use super::{Run, Verdict};
use crate::state::{Phase, Status};

impl Run<'_> {
    /// Takes a step that has begun and is not decided out of the saga's way; later steps read `output` in its place.
    pub(super) fn on_skip(&mut self, name: &str, output: &Value) -> Verdict {
        let Some(index) = self.definition.index_of(name) else {
            return Verdict::Refused(format!("the definition has no step `{name}`"));
        };
        if self.state.phase == Phase::Backward {
            return Verdict::Refused(format!(
                "the saga is compensating: an undo is not skipped but resolved by hand, if `{name}` is parked"
            ));
        }
        if let Some(why) = self.state.cannot_begin(self.definition) {
            return Verdict::Refused(why);
        }
        if self.definition.pivot == Some(index) && self.definition.command_at(index).is_some() {
            return Verdict::Refused(format!(
                "`{name}` is the pivot: what follows relies on it, so it is not skipped. Retry it; once it is parked, resolve it by hand if it was done"
            ));
        }
        match self.state.steps[index].status {
            Status::Sent | Status::Retrying | Status::Pending | Status::Waiting => {}
            Status::Idle => {
                return Verdict::Refused(format!(
                    "`{name}` has not begun: a step is skipped while it is out, waits or is parked"
                ));
            }
            Status::Undoing | Status::UndoRetrying => {
                return Verdict::Refused(format!("`{name}` is being undone, which is not skipped"));
            }
            Status::Done
            | Status::Refused
            | Status::Unknown
            | Status::Skipped
            | Status::DoneAnyway
            | Status::Undone => return Verdict::Refused(format!("`{name}` is decided already")),
        }
        // Null stands for no output at all.
        if output.is_null() {
            if self.definition.counts_on(name) {
                return Verdict::Refused(format!(
                    "later steps read `$.{name}` and have nothing to put in its place: give the output that they read"
                ));
            }
        } else {
            if let Err(why) = self.acceptable(index, output) {
                return Verdict::Refused(why);
            }
            self.state.context.insert(name.to_owned(), output.clone());
        }
        let step = &mut self.state.steps[index];
        step.status = if step.has_said_done { Status::DoneAnyway } else { Status::Skipped };
        step.due = None;
        step.pending_until = None;
        self.unpark(index);
        Verdict::Moved
    }

    /// Whether a command of this step ever went out, so that an answer to it makes sense.
    pub(super) fn was_sent(&self, index: usize) -> bool {
        self.state.steps[index].attempt > 0
    }

    /// The real answer of a step that was skipped while it was out.
    pub(super) fn on_answer_of_skipped(&mut self, index: usize, outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Done { .. } => {
                self.state.steps[index].status = Status::DoneAnyway;
                Verdict::Conflict(
                    "the step was skipped and now says done: a stand-in stays, and it is undone if the saga is"
                        .to_owned(),
                )
            }
            Outcome::Refused { .. } | Outcome::Pending { .. } | Outcome::Failed { .. } => Verdict::Ignored,
        }
    }
}
