//! How far one saga has come.

use std::collections::BTreeMap;

use makegood_contracts::{command::Direction, orchestrator::Reason};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    context::Context,
    definition::{Definition, StepKind},
};

/// One saga. `context` holds `input` and each done step's output under the step's name; it is kept apart from the
/// rest in storage (it is the sum of the log), so it is not serialized here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    #[serde(skip)]
    pub saga_id: Uuid,
    #[serde(skip)]
    pub context: Context,
    pub phase: Phase,
    /// The stage that runs; on the way back, the one that is being undone.
    pub stage: usize,
    /// One per step of the definition, and one more for `finally`.
    pub steps: Vec<StepState>,
    /// Signals that have come, also before the step that awaits them; the payload becomes that step's output.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signals: BTreeMap<String, Value>,
    /// Why it is undone: the first refusal, and those of its siblings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Called off while a step was out: it turns around once that step is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_off: Option<Reason>,
    /// It needs an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// An operator holds it. It may be parked at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Forward,
    Backward,
    Finally,
    Completed,
    Compensated,
}

impl Phase {
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Compensated)
    }
}

/// One step of one saga.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// Left out while idle, as most are: this is written with every move.
    #[serde(default, skip_serializing_if = "Status::is_idle")]
    pub status: Status,
    /// Sendings so far, in the current direction; each message has its own number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// Sendings that failed or timed out, in the current direction: what the retry budget counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// When something must be done about it if nothing happens before.
    #[serde(with = "time::serde::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<OffsetDateTime>,
    /// Why it needs an operator too, as soon as the sibling that is parked has been settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_person: Option<String>,
    /// It has said done, with an output that was not accepted: skipped, it is undone on the way back all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_said_done: bool,
    /// An operator has said that it is done: what it says itself, later, is no contradiction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_settled_by_hand: bool,
    /// While pending: when the patience ends.
    #[serde(with = "time::serde::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    pub pending_until: Option<OffsetDateTime>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    #[default]
    Idle,
    /// The command is out.
    Sent,
    /// It failed and will be sent again when due.
    Retrying,
    /// Accepted, undecided: someone outside must act. Asked again when due.
    Pending,
    /// An `await` without its signal yet.
    Waiting,
    Done,
    /// A business no; nothing took effect.
    Refused,
    /// Its attempts are used up; whether it took effect is not known, so it is undone.
    Unknown,
    /// The saga goes on without it: its await passed its deadline, or an operator skipped it.
    Skipped,
    /// Skipped by an operator while it was out, and done all the same: later steps keep to the stand-in, and on the way
    /// back it is undone.
    DoneAnyway,
    /// The undo is out.
    Undoing,
    /// The undo failed and will be sent again when due.
    UndoRetrying,
    Undone,
}

impl Status {
    /// Which way the step goes: what is sent next, if anything is.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Undoing | Self::UndoRetrying | Self::Undone => Direction::Undo,
            Self::Idle
            | Self::Sent
            | Self::Retrying
            | Self::Pending
            | Self::Waiting
            | Self::Done
            | Self::Refused
            | Self::Unknown
            | Self::Skipped
            | Self::DoneAnyway => Direction::Do,
        }
    }

    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Sent => "sent",
            Self::Retrying => "retrying",
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
            Self::DoneAnyway => "done_anyway",
            Self::Undoing => "undoing",
            Self::UndoRetrying => "undo_retrying",
            Self::Undone => "undone",
        }
    }

    /// Its undo has been sent and is not yet known to have worked.
    pub const fn is_being_undone(self) -> bool {
        matches!(self, Self::Undoing | Self::UndoRetrying)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }
}

/// Why and where an operator is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    pub step: String,
    pub why: String,
}

/// Who holds the saga, why, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// The saga's clock stands still at this instant.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    pub actor: String,
    pub reason: String,
}

/// How a saga is listed and searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Running,
    Waiting,
    Compensating,
    Finishing,
    /// Held by an operator, whatever it would do otherwise.
    Paused,
    Parked,
    Completed,
    Compensated,
}

impl Condition {
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Waiting,
        Self::Compensating,
        Self::Finishing,
        Self::Paused,
        Self::Parked,
        Self::Completed,
        Self::Compensated,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Compensating => "compensating",
            Self::Finishing => "finishing",
            Self::Paused => "paused",
            Self::Parked => "parked",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
        }
    }
}

impl State {
    /// Whether the step at an index is parked, or has its turn as soon as a sibling that is parked has been settled.
    pub fn is_for_a_person(&self, definition: &Definition, index: usize) -> bool {
        self.is_parked_at(definition, index) || self.steps[index].needs_person.is_some()
    }

    /// Whether the step at an index is the one that is parked.
    pub(crate) fn is_parked_at(&self, definition: &Definition, index: usize) -> bool {
        self.parked.as_ref().is_some_and(|parked| parked.step == definition.name_of(index))
    }

    /// Of a saga that was parked before its first step, because its input is too large for a context, and stays so: why nothing of it
    /// can be sent.
    pub(crate) fn cannot_begin(&self, definition: &Definition) -> Option<String> {
        let parked = self.parked.as_ref()?;
        let is_idle = self.steps[definition.index_of(&parked.step)?].status == Status::Idle;
        is_idle.then(|| format!("the saga has not begun and cannot: {}. Cancel it", parked.why))
    }

    /// A saga that has not begun. `input` becomes `$.input`.
    pub fn new(definition: &Definition, saga_id: Uuid, input: Value, signals: BTreeMap<String, Value>) -> Self {
        Self {
            saga_id,
            context: Map::from_iter([("input".to_owned(), input)]).into(),
            phase: Phase::Forward,
            stage: 0,
            steps: vec![StepState::default(); definition.steps.len() + 1],
            signals,
            reasons: Vec::new(),
            called_off: None,
            parked: None,
            paused: None,
        }
    }

    /// Restores what is not serialized: the id, the input, and what is known of the steps' outputs from the log.
    /// An await's output is its signal's payload, which is kept here, unless an operator has settled it with another one.
    pub fn restore(&mut self, definition: &Definition, saga_id: Uuid, input: Value, outputs: Context) {
        self.saga_id = saga_id;
        self.context = outputs;
        self.context.insert("input".to_owned(), input);
        for (step, state) in definition.steps.iter().zip(&self.steps) {
            if let StepKind::Await(awaited) = &step.kind
                && state.status == Status::Done
                && let Some(payload) = self.signals.get(&awaited.signal)
            {
                self.context.add(step.name.clone(), payload.clone());
            }
        }
    }

    /// When the next deadline is; none while paused, parked or ended.
    pub fn wake_at(&self) -> Option<OffsetDateTime> {
        if self.paused.is_some() || self.parked.is_some() || self.phase.has_ended() {
            return None;
        }
        self.steps.iter().filter_map(|step| step.due).min()
    }

    pub fn condition(&self) -> Condition {
        if self.paused.is_some() {
            return Condition::Paused;
        }
        if self.parked.is_some() {
            return Condition::Parked;
        }
        match self.phase {
            Phase::Forward if self.is_waiting() => Condition::Waiting,
            Phase::Forward => Condition::Running,
            Phase::Backward => Condition::Compensating,
            Phase::Finally => Condition::Finishing,
            Phase::Completed => Condition::Completed,
            Phase::Compensated => Condition::Compensated,
        }
    }

    fn is_waiting(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.status, Status::Waiting | Status::Pending))
    }

    /// The step that people see as current: the parked one, else the first undecided one of the stage.
    pub fn current_step<'a>(&'a self, definition: &'a Definition) -> Option<&'a str> {
        if let Some(parked) = &self.parked {
            return Some(&parked.step);
        }
        match self.phase {
            Phase::Completed | Phase::Compensated => None,
            Phase::Finally => Some(crate::definition::FINALLY),
            Phase::Forward | Phase::Backward => {
                let stage = definition.stages.get(self.stage)?;
                let undecided = stage.clone().find(|index| {
                    !matches!(
                        self.steps[*index].status,
                        Status::Done | Status::Skipped | Status::DoneAnyway | Status::Undone
                    )
                });
                undecided.or_else(|| stage.clone().next()).map(|index| definition.steps[index].name.as_str())
            }
        }
    }
}
