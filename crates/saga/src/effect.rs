//! What the shell must do after a transition, as data.

use makegood_contracts::command::Direction;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a step's command, or the command that undoes it.
    Send(Send),
    /// Tell a participant that a step is pending. Nobody waits for its reply: it is told again with each asking.
    Tell { step: usize, command: String, payload: Value },
    /// The saga has ended; nothing will move it any more.
    Finish,
}

/// One sending; as data it also stands in the saga's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Send {
    /// Index of the step; one past the last is `finally`.
    #[serde(skip)]
    pub index: usize,
    pub step: String,
    pub direction: Direction,
    pub attempt: u32,
    /// When the command is given up; undoing is never too late, so an undo carries none.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<OffsetDateTime>,
}
