//! What the orchestrator is asked: start a saga, hand it a signal, call it off.
//!
//! Each is idempotent by the saga's id (and the signal's name), so that the sender repeats it until it
//! sees the saga's own commands come back. Messages carry JSON arrays.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::plain_text::is_plain_text;

pub const START_SAGA: &str = "orchestrator.start_saga";
pub const SIGNAL_SAGA: &str = "orchestrator.signal_saga";
pub const CANCEL_SAGA: &str = "orchestrator.cancel_saga";

/// Where the orchestrator notes which sagas have just ended: arrays of [`SagaEnded`] over plain NATS, kept by nobody. For
/// whoever waits; a note may be lost, and then the saga itself must be asked.
pub const SAGAS_ENDED: &str = "note.sagas_ended.v1";

/// Where the orchestrator notes every hour which sagas are gone: an array of one [`SagasGone`] over plain NATS, kept by nobody.
/// For participants, which may forget then what they did for them.
pub const SAGAS_GONE: &str = "note.sagas_gone.v1";

/// Longest `reference` and `customer` of a saga, in characters: they are indexed, to be searched for.
pub const MAX_SEARCHED: usize = 255;

/// Whether it can be a saga's `reference` or `customer`.
pub fn is_searchable(text: &str) -> bool {
    is_plain_text(text, MAX_SEARCHED)
}

/// Starts a saga once per `saga_id`; the newest released version of the definition is taken and kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartSaga {
    pub saga_id: Uuid,
    /// `checkout`, …
    pub definition: String,
    /// What people search for, such as the order's id.
    pub reference: String,
    /// The customer whom the saga concerns, as people search for them.
    #[serde(default)]
    pub customer: Option<String>,
    /// The context's `$.input`; never card data or secrets.
    pub input: Value,
    /// Signals that are known already, such as a buyer who confirms in the same call.
    #[serde(default)]
    pub signals: Map<String, Value>,
    #[serde(default)]
    pub traceparent: Option<String>,
}

/// Hands a signal to the step that awaits it, or keeps it until that step is reached. First wins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignalSaga {
    pub saga_id: Uuid,
    pub signal: String,
    pub payload: Value,
}

/// Calls a saga off: it compensates if it has not passed its pivot, and goes on otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CancelSaga {
    pub saga_id: Uuid,
    pub code: String,
    pub detail: String,
}

/// The payload of a definition's `finally` command: how the saga ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaEnd<I = Value> {
    pub ended: Ending,
    /// Why it was undone; absent when completed.
    #[serde(default)]
    pub reason: Option<Reason>,
    pub input: I,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Completed,
    Compensated,
}

/// One line of a [`SAGAS_ENDED`] note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaEnded {
    pub saga_id: Uuid,
    pub ended: Ending,
}

/// All sagas whose id is a UUID of version 7 before this one have ended, and their time has passed: none of them sends again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagasGone {
    pub before: Uuid,
}

/// The refusal that a saga was undone for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub step: String,
    pub code: String,
    pub detail: String,
}
