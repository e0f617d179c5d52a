//! What participants say after a saga's end. A repetition is nothing new; what contradicts the end is nobody's any more, and must be seen.

use makegood_contracts::{command::Direction, reply::Outcome};

use super::{Run, Verdict};
use crate::state::Status;

impl Run<'_> {
    /// Nothing moves any more: a contradiction is told as what cannot be, so that it is kept for an operator.
    pub(super) fn reply_after_the_end(&self, name: &str, direction: Direction, outcome: &Outcome) -> Verdict {
        let Some(index) = self.definition.index_of(name) else {
            return Verdict::Unexpected(format!("the definition has no step `{name}`"));
        };
        let contradiction = match direction {
            Direction::Do => self.action_after_the_end(index, outcome),
            Direction::Undo => self.undo_after_the_end(index, outcome),
        };
        contradiction.map_or(Verdict::Ignored, |what| {
            Verdict::Unexpected(format!("step `{name}` {what}: if that must not stand, mend it by hand"))
        })
    }

    fn action_after_the_end(&self, index: usize, outcome: &Outcome) -> Option<String> {
        let is_done = matches!(outcome, Outcome::Done { .. });
        match self.state.steps[index].status {
            // Nobody reads what `finally` puts out, and what a person has settled may look otherwise.
            Status::Done
                if is_done && (index == self.definition.steps.len() || self.state.steps[index].is_settled_by_hand) =>
            {
                None
            }
            Status::Done => match self.repeated_done(index, outcome) {
                Verdict::Conflict(why) => Some(format!("contradicts itself after the saga's end ({why})")),
                Verdict::Moved | Verdict::Ignored | Verdict::Unexpected(_) | Verdict::Refused(_) => None,
            },
            Status::Refused if is_done => Some("was refused and says done after the saga's end".to_owned()),
            Status::Skipped if is_done && self.was_sent(index) => {
                Some("was skipped and says done after the saga's end".to_owned())
            }
            Status::Idle | Status::Waiting | Status::Skipped if !self.was_sent(index) => {
                Some("was never sent and is answered after the saga's end".to_owned())
            }
            // What was given up or undone says so late: its undo has made it good, or there was nothing to undo.
            Status::Idle
            | Status::Sent
            | Status::Retrying
            | Status::Pending
            | Status::Waiting
            | Status::Refused
            | Status::Unknown
            | Status::Skipped
            | Status::DoneAnyway
            | Status::Undoing
            | Status::UndoRetrying
            | Status::Undone => None,
        }
    }

    fn undo_after_the_end(&self, index: usize, outcome: &Outcome) -> Option<String> {
        let is_done = matches!(outcome, Outcome::Done { .. });
        (is_done && self.state.steps[index].status != Status::Undone)
            .then(|| "says undone after the saga's end, and nobody asked for it".to_owned())
    }
}
