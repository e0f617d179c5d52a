//! A command asks a participant to do, or to undo, one step of one saga.
//!
//! A JetStream message on `cmd.<service>.<verb_noun>.v1` carries a JSON array of commands: many that
//! wait for one participant travel together, because the broker costs more than the batched database.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

/// Whether a command does a step or makes it good again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Do,
    Undo,
}

impl Direction {
    /// The spelling in keys, tables and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Undo => "undo",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "do" => Some(Self::Do),
            "undo" => Some(Self::Undo),
            _ => None,
        }
    }
}

/// What a step's effect is known by, for ever: however often it is sent, it takes effect once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepKey {
    pub saga_id: Uuid,
    pub step: String,
    pub direction: Direction,
}

impl std::fmt::Display for StepKey {
    /// `<saga>:<step>:<do|undo>`: the idempotency key that a provider is given.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.saga_id.simple(), self.step, self.direction.as_str())
    }
}

/// One command as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    pub key: StepKey,
    /// 1 for the first sending. The reply echoes it; it is no part of the key.
    pub attempt: u32,
    /// After this instant the command is not started any more. Absent for undo: undoing is never too late.
    #[serde(with = "time::serde::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<OffsetDateTime>,
    /// W3C trace context of the request that began the saga.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The subject that the reply is published to.
    pub reply_to: String,
    /// The step's input; an undo carries the same input as its action.
    pub payload: Box<RawValue>,
}
