//! What can happen to a saga. Each event that moves it is a row of its log.

use makegood_contracts::{command::Direction, reply::Outcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It begins.
    Started,
    /// A participant answered.
    Replied { step: String, direction: Direction, attempt: u32, outcome: Outcome },
    /// Someone outside acted: the buyer confirmed.
    Signalled {
        signal: String,
        payload: Value,
        /// An operator, in their stead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ByHand>,
    },
    /// The saga is called off by whoever began it.
    Cancelled { code: String, detail: String },
    /// The time of a deadline has come (or the shell believes so: nothing happens if it has not).
    Woke,
    /// The shell has started anew and does not know what was sent: what is unanswered is sent again.
    Recovered,
    /// An operator sends the current step again at once, with its attempts counted anew.
    Retried { actor: String, reason: String },
    /// An operator turns the saga around.
    CompensationForced { actor: String, reason: String },
    /// An operator holds the saga: what comes is taken in, nothing is sent, and its timers stand still.
    Paused { actor: String, reason: String },
    /// An operator lets a paused saga go on.
    Resumed { actor: String, reason: String },
    /// An operator goes on without a step; later steps read this output in its place.
    StepSkipped { step: String, actor: String, reason: String, output: Value },
    /// An operator calls the saga off: it turns around once what is out is decided.
    CancelledByOperator { actor: String, reason: String },
    /// An operator has moved the saga to another version of its definition. Made by
    /// [`move_version`](crate::transition::move_version), which has both at hand.
    VersionMoved { from: u32, to: u32, actor: String, reason: String },
    /// An operator has settled the parked step by hand: as done (with this output) on the way forward, as undone on
    /// the way back.
    Resolved { step: String, actor: String, reason: String, output: Value },
}

/// An operator, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    pub actor: String,
    pub reason: String,
}

impl Event {
    /// What happened, for a line of a service's log: without what was said along with it, which is the customer's and the shop's affair.
    pub fn outline(&self) -> String {
        match self {
            Self::Started => "started".to_owned(),
            Self::Replied { step, direction, attempt, outcome } => {
                format!("{} to {} {step}, attempt {attempt}", outcome.word(), direction.as_str())
            }
            Self::Signalled { signal, .. } => format!("signal {signal}"),
            Self::Cancelled { code, .. } => format!("cancelled: {code}"),
            Self::Woke => "woke".to_owned(),
            Self::Recovered => "recovered".to_owned(),
            Self::Retried { .. } => "retried".to_owned(),
            Self::CompensationForced { .. } => "compensation forced".to_owned(),
            Self::Paused { .. } => "paused".to_owned(),
            Self::Resumed { .. } => "resumed".to_owned(),
            Self::StepSkipped { step, .. } => format!("skipped {step}"),
            Self::CancelledByOperator { .. } => "cancelled by an operator".to_owned(),
            Self::VersionMoved { from, to, .. } => format!("moved from version {from} to {to}"),
            Self::Resolved { step, .. } => format!("resolved {step}"),
        }
    }
}
