//! What the admin API tells of sagas, as far as people are shown it.
//!
//! Read leniently: a deployment of a later release may know states and events that this build does not, and they are then
//! shown as they come.

use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::definition::FINALLY;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

/// One saga in a list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Summary {
    pub(super) id: String,
    pub(super) definition: String,
    pub(super) version: i64,
    pub(super) reference: String,
    pub(super) customer: Option<String>,
    pub(super) state: String,
    pub(super) step: Option<String>,
    pub(super) reason: Option<Reason>,
    #[serde(default)]
    pub(super) trouble: Option<Trouble>,
    pub(super) revision: i64,
    pub(super) age_seconds: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) updated_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub(super) finished_at: Option<OffsetDateTime>,
}

/// Why a saga was undone, or why it is parked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reason {
    pub(super) step: String,
    pub(super) code: String,
    pub(super) detail: String,
}

/// What keeps a saga at its step that is at work.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trouble {
    pub(super) step: String,
    pub(super) kind: String,
    pub(super) detail: String,
    pub(super) attempt: u32,
    pub(super) is_undo: bool,
}

impl Trouble {
    /// In a line.
    pub(super) fn told(&self) -> String {
        let Self { step, kind, detail, attempt, is_undo } = self;
        let what = if *is_undo { format!("undoing {step}") } else { step.clone() };
        match kind.as_str() {
            "failing" => format!("{what} fails: {detail} (attempt {attempt})"),
            "silent" => format!("{what}: no answer so far, asked {attempt} times"),
            "pending" => format!("{what} is pending: {detail}"),
            kind => format!("{what}: {kind}: {detail}"),
        }
    }
}

impl Reason {
    /// The reason in a line. That it is parked or paused, its state says already.
    pub(super) fn told(&self) -> String {
        match self.code.as_str() {
            "parked" | "paused" => self.detail.clone(),
            code if self.detail.is_empty() => code.to_owned(),
            code => format!("{code}: {}", self.detail),
        }
    }
}

impl Summary {
    pub(super) fn has_ended(&self) -> bool {
        self.finished_at.is_some()
    }

    /// Why it stands, was turned around, or takes long; empty where there is nothing to say.
    pub(super) fn why(&self) -> String {
        // What keeps it comes first: lists have room for little.
        let trouble = self.trouble.as_ref().map(Trouble::told);
        let reason = self.reason.as_ref().map(Reason::told);
        trouble.into_iter().chain(reason).collect::<Vec<_>>().join("; ")
    }

    /// `parked at capture_payment`, or `completed`.
    pub(super) fn stands(&self) -> String {
        match &self.step {
            Some(step) => format!("{} at {step}", self.state),
            None => self.state.clone(),
        }
    }

    /// The deployment's own time at which it answered: ages are counted by its clock and not by this machine's.
    pub(super) fn told_at(&self) -> OffsetDateTime {
        self.created_at + time::Duration::seconds(self.age_seconds)
    }
}

/// One saga with its timeline.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Detail {
    #[serde(flatten)]
    pub(super) saga: Summary,
    pub(super) traceparent: Option<String>,
    /// Why it turns around as soon as what is out is decided.
    #[serde(default)]
    pub(super) called_off: Option<Reason>,
    pub(super) steps: Vec<Step>,
    pub(super) timeline: Vec<Entry>,
}

impl Detail {
    /// Whether it has turned around, and undoes what it did.
    pub(super) fn is_on_its_way_back(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.status.as_str(), "undoing" | "undo_retrying" | "undone"))
    }

    /// Whether every step is decided, and only `finally` is left.
    pub(super) fn is_at_its_end(&self) -> bool {
        self.saga.step.as_deref() == Some(FINALLY)
    }

    /// Whether the step from which there is no way back was asked for.
    pub(super) fn has_reached_its_pivot(&self) -> bool {
        self.steps.iter().any(|step| step.pivot && !matches!(step.status.as_str(), "idle" | "refused"))
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Step {
    pub(super) step: String,
    pub(super) command: Option<String>,
    /// What an await waits for.
    #[serde(default)]
    pub(super) signal: Option<String>,
    pub(super) compensate: Option<String>,
    #[serde(default)]
    pub(super) pivot: bool,
    pub(super) status: String,
    /// It is parked, or will be once its sibling has been settled.
    #[serde(default)]
    pub(super) needs_operator: bool,
    pub(super) attempts: u32,
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub(super) due: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Entry {
    pub(super) revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) at: OffsetDateTime,
    event: Value,
    #[serde(default)]
    pub(super) sent: Vec<Sent>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sent {
    pub(super) step: String,
    pub(super) direction: Direction,
    pub(super) attempt: u32,
    pub(super) command: String,
    pub(super) key: String,
    #[serde(default)]
    pub(super) payload: Value,
}

/// What happened, in one entry of a timeline.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    Started,
    Replied {
        step: String,
        direction: Direction,
        outcome: Outcome,
    },
    Signalled {
        signal: String,
        #[serde(default)]
        payload: Value,
        #[serde(default)]
        by: Option<ByHand>,
    },
    Cancelled {
        code: String,
        detail: String,
    },
    Woke,
    Recovered,
    Retried(ByHand),
    CompensationForced(ByHand),
    Paused(ByHand),
    Resumed(ByHand),
    CancelledByOperator(ByHand),
    Resolved {
        step: String,
        #[serde(flatten)]
        by: ByHand,
    },
    StepSkipped {
        step: String,
        #[serde(flatten)]
        by: ByHand,
    },
    VersionMoved {
        to: u32,
        #[serde(flatten)]
        by: ByHand,
    },
}

/// An operator, and why.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct ByHand {
    pub(super) actor: String,
    pub(super) reason: String,
}

impl Entry {
    /// What happened, or its JSON where this build has no word for it.
    pub(super) fn event(&self) -> Result<Event, &Value> {
        Event::deserialize(&self.event).map_err(|_| &self.event)
    }
}

/// A bulk operation and how far it is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BulkOperation {
    pub(super) id: String,
    pub(super) action: String,
    pub(super) state: String,
    pub(super) matches: u64,
    #[serde(default)]
    pub(super) done: u64,
    #[serde(default)]
    pub(super) refused: u64,
    #[serde(default)]
    pub(super) failed: u64,
    #[serde(default)]
    pub(super) actor: String,
    #[serde(default)]
    pub(super) reason: String,
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub(super) created_at: Option<OffsetDateTime>,
    /// The first sagas that it was not done to; a list leaves them out.
    #[serde(default)]
    pub(super) not_done: Vec<NotDone>,
}

/// A saga that a bulk operation was not done to.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct NotDone {
    pub(super) saga: String,
    /// `refused` or `failed`.
    pub(super) outcome: String,
    pub(super) detail: String,
}

impl BulkOperation {
    pub(super) fn is_running(&self) -> bool {
        self.state == "running"
    }

    pub(super) fn worked_off(&self) -> u64 {
        self.done + self.refused + self.failed
    }
}

/// What an operator did.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct AuditRow {
    #[serde(with = "time::serde::rfc3339")]
    pub(super) at: OffsetDateTime,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) saga: String,
    pub(super) reason: String,
}

/// Where a saga is after an operation.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Moved {
    pub(super) state: String,
    pub(super) step: Option<String>,
    pub(super) revision: i64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(event: Value) -> Entry {
        serde_json::from_value(json!({"revision": 2, "at": "2026-11-25T01:00:00Z", "event": event})).expect("an entry")
    }

    #[test]
    fn events_are_read_and_unknown_ones_are_kept_as_they_came() {
        assert_eq!(entry(json!({"event": "woke"})).event(), Ok(Event::Woke));
        let by = ByHand { actor: "ann".to_owned(), reason: "back".to_owned() };
        let retried = json!({"event": "retried", "actor": "ann", "reason": "back"});
        assert_eq!(entry(retried).event(), Ok(Event::Retried(by.clone())));
        let skipped = json!({"event": "step_skipped", "step": "ship", "actor": "ann", "reason": "back", "output": {}});
        assert_eq!(entry(skipped).event(), Ok(Event::StepSkipped { step: "ship".to_owned(), by }));
        let unknown = json!({"event": "teleported", "to": "mars"});
        assert_eq!(entry(unknown.clone()).event(), Err(&unknown));
    }
}
