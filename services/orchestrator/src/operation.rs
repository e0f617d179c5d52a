//! What an operator can ask for one saga or for many: the verbs, with their own fields. The actor and the reason come
//! with whoever asks.

use makegood_saga::event::{ByHand, Event};
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
    /// What [`Operation::action`] may be.
    pub(crate) const ACTIONS: [&str; 9] =
        ["retry", "skip", "compensate", "resolve", "pause", "resume", "cancel", "signal", "move"];

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
            Self::Signal { signal, payload } => {
                Event::Signalled { signal, payload, by: Some(ByHand { actor, reason }) }
            }
            Self::Move { version } => Event::VersionMoved { from, to: version, actor, reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_action_is_named() {
        let fields = json!({"step": "a", "output": {}, "signal": "b", "payload": {}, "version": 2});
        for action in Operation::ACTIONS {
            let mut operation = fields.clone();
            operation["action"] = action.into();
            let read: Operation = serde_json::from_value(operation).expect("is an operation");
            assert_eq!(read.action(), action);
        }
        let error = serde_json::from_value::<Operation>(json!({"action": "none"})).expect_err("is none").to_string();
        assert_eq!(error.matches('`').count() / 2, Operation::ACTIONS.len() + 1, "{error}");
    }
}
