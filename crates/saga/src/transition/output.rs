//! What may become part of the context: an output that matches the step's schema, while the context stays within its limit.
//!
//! An output that is not accepted is treated as a failure that cannot be retried: the saga parks with the reason, before
//! the pivot and after it, and nothing is merged. The step did take effect. An operator may send it again (once the
//! participant answers better), or settle it by hand with an output that is accepted; before the pivot the saga can also be
//! turned around, and the step is undone like any other.

use makegood_contracts::{command::Direction, reply::Outcome};
use serde_json::Value;

use super::{Run, Verdict};
use crate::{
    context::{self, entry_bytes},
    event::Event,
    state::Status,
};

/// How it is told that an output is not accepted. By this, which stands in the log, such a failure is known as the done that it was.
pub(super) const OUTPUT_OF: &str = "the output of";

impl Run<'_> {
    /// The failure that an output counts as which cannot be accepted from a step that is out; none for all else.
    pub(super) fn unacceptable(&self, event: &Event) -> Option<Event> {
        let Event::Replied { step, direction: Direction::Do, attempt, outcome: Outcome::Done { output } } = event
        else {
            return None;
        };
        let index = self.definition.index_of(step)?;
        let is_out = matches!(self.state.steps[index].status, Status::Sent | Status::Retrying | Status::Pending);
        if !is_out {
            return None;
        }
        let detail = self.acceptable(index, output).err()?;
        Some(Event::Replied {
            step: step.clone(),
            direction: Direction::Do,
            attempt: *attempt,
            outcome: Outcome::Failed { detail, retryable: false },
        })
    }

    /// Takes up the output of a `done` that contradicts a refusal or a skipping, where there is none yet: the log has it, and the context
    /// is the sum of the log. One that cannot be accepted is logged as nothing.
    pub(super) fn keep_contradiction(&mut self, event: &Event, verdict: &Verdict) -> Option<Event> {
        let Verdict::Conflict(_) = verdict else { return None };
        let Event::Replied { step, direction: Direction::Do, attempt, outcome: Outcome::Done { output } } = event
        else {
            return None;
        };
        let index = self.definition.index_of(step)?;
        if self.state.context.contains_key(step) {
            return None;
        }
        let is_acceptable = self.acceptable(index, output).is_ok();
        let kept = if is_acceptable { output.clone() } else { Value::Null };
        self.state.context.add(step.clone(), kept);
        (!is_acceptable).then(|| Event::Replied {
            step: step.clone(),
            direction: Direction::Do,
            attempt: *attempt,
            outcome: Outcome::done(),
        })
    }

    /// Whether an output may be merged into the context under the step's name.
    pub(super) fn acceptable(&self, index: usize, output: &Value) -> Result<(), String> {
        if let Some(schema) = self.definition.output_at(index) {
            let name = self.definition.name_of(index);
            schema.check(output).map_err(|why| format!("{OUTPUT_OF} `{name}` does not match its schema: {why}"))?;
        }
        // Nothing always fits, and so does what nobody reads any more: a saga whose input is too large must be able to end.
        if output.is_null() || index == self.definition.steps.len() {
            return Ok(());
        }
        let growth = entry_bytes(self.definition.name_of(index), output);
        self.fits(growth)
            .map_err(|why| format!("{OUTPUT_OF} `{}` has {growth} bytes: {why}", self.definition.name_of(index)))
    }

    /// What an operator says of an undo stands in the log, whose outputs are the context. The step's own output, where there
    /// is one, came first and stays.
    pub(super) fn keep_beside(&mut self, index: usize, output: &Value) -> Result<(), String> {
        let step = self.definition.name_of(index);
        if !self.state.context.contains_key(step) {
            self.fits(entry_bytes(step, output))?;
            self.state.context.insert(step.to_owned(), output.clone());
        }
        Ok(())
    }

    /// Whether the context may grow by this much.
    pub(super) fn fits(&self, growth: usize) -> Result<(), String> {
        let size = self.state.context.bytes() + growth;
        if size <= context::LIMIT {
            return Ok(());
        }
        Err(format!("the context would have {size} bytes, and {} are allowed", context::LIMIT))
    }
}
