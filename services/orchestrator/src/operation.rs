//! What an operator can ask for one saga or for many: the verbs, with their own fields. The actor and the reason come
//! with whoever asks.

use makegood_saga::event::Event;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// As it stands in a bulk operation's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Operation {
    Retry,
    Skip { step: String, output: Value },
    Compensate,
    Resolve { step: String, output: Value },
    Pause,
    Resume,
    Cancel,
    Signal { signal: String, payload: Value },
    Move { version: u32 },
}

impl Operation {
    /// The verb, as in the path and in the audit.
    pub(crate) const fn action(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip { .. } => "skip",
            Self::Compensate => "compensate",
            Self::Resolve { .. } => "resolve",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Signal { .. } => "signal",
            Self::Move { .. } => "move",
        }
    }

    /// What happens to a saga on the version `from` when this is asked.
    pub(crate) fn event(&self, from: u32, actor: &str, reason: &str) -> Event {
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        match self.clone() {
            Self::Retry => Event::Retried { actor, reason },
            Self::Skip { step, output } => Event::StepSkipped { step, actor, reason, output },
            Self::Compensate => Event::CompensationForced { actor, reason },
            Self::Resolve { step, output } => Event::Resolved { step, actor, reason, output },
            Self::Pause => Event::Paused { actor, reason },
            Self::Resume => Event::Resumed { actor, reason },
            Self::Cancel => Event::CancelledByOperator { actor, reason },
            // The log knows the signal; who sent it and why stands in the audit.
            Self::Signal { signal, payload } => Event::Signalled { signal, payload },
            Self::Move { version } => Event::VersionMoved { from, to: version, actor, reason },
        }
    }
}
