//! A reply says what became of a command. A message on `reply.<partition>` carries a JSON array.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::StepKey;

/// One reply as it travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Echoed from the command.
    pub key: StepKey,
    /// The attempt that is answered; an answer to an earlier attempt is as good.
    pub attempt: u32,
    pub outcome: Outcome,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// It took effect; `output` is merged into the saga's context under the step's name.
    Done {
        #[serde(default)]
        output: Value,
    },
    /// A business no: nothing took effect and trying again will not help. The saga compensates.
    Refused { code: String, detail: String },
    /// Accepted, undecided: someone outside must act first (3-D Secure, a warehouse). The decision
    /// follows as another reply to the same key; asking again is harmless.
    Pending {
        reason: String,
        #[serde(default)]
        detail: Value,
    },
    /// It did not work. Retryable: try later under the same key. Otherwise a defect: the saga parks.
    Failed { detail: String, retryable: bool },
}

impl Outcome {
    /// As metrics, spans and logs spell it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Refused { .. } => "refused",
            Self::Pending { .. } => "pending",
            Self::Failed { retryable: true, .. } => "retry",
            Self::Failed { retryable: false, .. } => "defect",
        }
    }

    /// Done with nothing to say.
    pub const fn done() -> Self {
        Self::Done { output: Value::Null }
    }

    pub fn refused(code: &str, detail: impl Into<String>) -> Self {
        Self::Refused { code: code.to_owned(), detail: detail.into() }
    }

    pub fn retry(detail: impl Into<String>) -> Self {
        Self::Failed { detail: detail.into(), retryable: true }
    }

    pub fn defect(detail: impl Into<String>) -> Self {
        Self::Failed { detail: detail.into(), retryable: false }
    }
}
