//! What may become part of the context: an output that matches the step's schema, while the context stays within its limit.
//!
//! An output that is not accepted is treated as a failure that cannot be retried: the saga parks with the reason, before
//! the pivot and after it, and nothing is merged. The step did take effect. An operator may send it again (once the
//! participant answers better), or settle it by hand with an output that is accepted; before the pivot the saga can also be
//! turned around, and the step is undone like any other.

use makegood_contracts::{command::Direction, reply::Outcome};
use serde_json::Value;

use super::Run;
use crate::{
    context::{self, bytes_of},
    event::Event,
    state::Status,
};

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

    /// Whether an output may be merged into the context under the step's name.
    pub(super) fn acceptable(&self, index: usize, output: &Value) -> Result<(), String> {
        if let Some(schema) = self.definition.command_at(index).and_then(|command| command.output.as_ref()) {
            schema.check(output).map_err(|why| {
                format!("the output of `{}` does not match its schema: {why}", self.definition.name_of(index))
            })?;
        }
        // Nothing always fits: a saga whose input is too large must be able to end.
        if output.is_null() {
            return Ok(());
        }
        let growth = self.definition.name_of(index).len() + bytes_of(output);
        self.fits(growth)
            .map_err(|why| format!("the output of `{}` has {growth} bytes: {why}", self.definition.name_of(index)))
    }

    /// What an operator says of an undo stands in the log, whose outputs are the context. The step's own output, where there
    /// is one, came first and stays.
    pub(super) fn keep_beside(&mut self, index: usize, output: &Value) -> Result<(), String> {
        let step = self.definition.name_of(index);
        if !self.state.context.contains_key(step) {
            self.fits(step.len() + bytes_of(output))?;
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
