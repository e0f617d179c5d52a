//! The orchestrator's database: one row per saga, written on the condition of its revision, and its log.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use makegood_contracts::{command::Direction, orchestrator::StartSaga};
use makegood_saga::{
    context::Context,
    effect::{Effect, Send},
    event::Event,
    state::{State, Status},
    transition::move_version,
};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Simulation, flows::Flow};
use crate::{bug::Bug, engine};

/// A row of the log, with the instant at which it was decided, so that it can be decided again.
pub(super) struct LogRow {
    event: Event,
    at: OffsetDateTime,
}

/// A saga as it is stored.
pub(super) struct Row {
    pub(super) revision: u32,
    /// The version that it is on.
    pub(super) flow: Rc<Flow>,
    begun_on: Rc<Flow>,
    /// As the table has it: without what comes back from the log.
    progress: String,
    pub(super) input: Value,
    signals: Map<String, Value>,
    log: Vec<LogRow>,
    /// Every sending that stands in the log.
    pub(super) sent: BTreeSet<(String, Direction, u32)>,
    pub(super) wake_at: Option<OffsetDateTime>,
    /// The same as `progress` and `log`, to look at without reading them.
    pub(super) state: State,
}

/// A saga as it comes back.
pub(super) struct Loaded {
    pub(super) flow: Rc<Flow>,
    pub(super) state: State,
    pub(super) revision: u32,
    pub(super) wake_at: Option<OffsetDateTime>,
}

/// What one replica would write.
pub(super) struct Move {
    pub(super) id: Uuid,
    pub(super) from_revision: u32,
    /// The version that it is on from then on.
    pub(super) flow: Rc<Flow>,
    /// What it was decided from.
    pub(super) from: State,
    pub(super) to: State,
    pub(super) event: Event,
    pub(super) at: OffsetDateTime,
    pub(super) effects: Vec<Effect>,
    pub(super) wake_at: Option<OffsetDateTime>,
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) rows: BTreeMap<Uuid, Row>,
}

impl Store {
    pub(super) fn live(&self) -> Vec<Uuid> {
        self.rows.iter().filter(|(_, row)| !row.state.phase.has_ended()).map(|(id, _)| *id).collect()
    }
}

fn sends(effects: &[Effect]) -> impl Iterator<Item = &Send> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Send(send) => Some(send),
        Effect::Tell { .. } | Effect::Finish => None,
    })
}

/// The outputs of done steps, from the log.
fn outputs(log: &[LogRow]) -> Context {
    let mut outputs = Context::default();
    log.iter().for_each(|row| outputs.learn(row.event.clone()));
    outputs
}

impl Simulation {
    /// A saga as it comes back from its row and its log.
    pub(super) fn load(&mut self, id: Uuid) -> Option<Loaded> {
        let row = self.store.rows.get(&id)?;
        let mut state: State = match serde_json::from_str(&row.progress) {
            Ok(state) => state,
            Err(error) => {
                self.breaks(format!("a saga cannot be read back: {error}"));
                return None;
            }
        };
        state.restore(&row.flow.definition, id, row.input.clone(), outputs(&row.log));
        let loaded = Loaded {
            flow: Rc::clone(&row.flow),
            state: row.state.clone(),
            revision: row.revision,
            wake_at: row.wake_at,
        };
        if state != loaded.state && !is_known_difference(&state, &loaded.state) {
            let written = &loaded.state;
            let difference = format!("what comes back is not what was written: {state:?} instead of {written:?}");
            self.breaks(difference);
        }
        Some(loaded)
    }

    /// Inserts a saga that is not there yet. False when it is.
    pub(super) fn insert(&mut self, start: &StartSaga, begun: Move) -> bool {
        if self.store.rows.contains_key(&start.saga_id) {
            if self.bug != Some(Bug::StartNotOnce) {
                return false;
            }
            self.breaks("a saga that had begun was begun anew");
        }
        let row = Row {
            revision: 0,
            flow: Rc::clone(&begun.flow),
            begun_on: Rc::clone(&begun.flow),
            progress: String::new(),
            input: start.input.clone(),
            signals: start.signals.clone(),
            log: Vec::new(),
            sent: BTreeSet::new(),
            wake_at: None,
            state: begun.from.clone(),
        };
        self.store.rows.insert(start.saga_id, row);
        self.write(begun)
    }

    /// Writes a move if its revision still stands.
    pub(super) fn write(&mut self, one: Move) -> bool {
        let now = self.schedule.now;
        let Some(row) = self.store.rows.get_mut(&one.id) else { return false };
        if row.revision != one.from_revision && self.bug != Some(Bug::NoRevisionCheck) {
            return false;
        }
        let broken = broken_by(row, &one, now);
        row.sent.extend(sends(&one.effects).map(|send| (send.step.clone(), send.direction, send.attempt)));
        row.log.push(LogRow { event: one.event, at: one.at });
        row.revision = one.from_revision + 1;
        row.flow = one.flow;
        row.wake_at = one.wake_at;
        // A state is plain data with text keys: writing it to memory cannot fail.
        row.progress = serde_json::to_string(&one.to).expect("a state is JSON");
        row.state = one.to;
        if let Some(broken) = broken {
            self.breaks(broken);
        }
        true
    }

    /// Decides every row of a saga's log again; what comes out must be what is stored.
    pub(super) fn replay(&mut self, id: Uuid) {
        let Some(row) = self.store.rows.get(&id) else { return };
        let mut flow = Rc::clone(&row.begun_on);
        let signals = row.signals.clone().into_iter().collect();
        let mut state = State::new(&flow.definition, id, row.input.clone(), signals);
        for LogRow { event, at } in &row.log {
            let mut next = None;
            if let Event::VersionMoved { to, .. } = event {
                next = self.flows.version(&flow.definition.name, *to);
            }
            state = match next {
                Some(next) => {
                    let moved = move_version(&flow.definition, &next.definition, state).state;
                    flow = next;
                    moved
                }
                None => engine::step(self.bug, &flow.definition, state, event, *at).state,
            };
        }
        if without_askings(&flow, &state) != without_askings(&flow, &row.state) {
            let difference = format!("its log does not lead where saga {id} is: {state:?} instead of {:?}", row.state);
            self.breaks(difference);
        }
    }
}

/// A pending step that is asked again moves no revision, so what only that changed is not in the row.
fn is_known_difference(one: &State, other: &State) -> bool {
    let settled = |state: &State| {
        let mut state = state.clone();
        for step in state.steps.iter_mut().filter(|step| step.status == Status::Pending) {
            step.due = None;
        }
        state
    };
    settled(one) == settled(other)
}

/// The log does not say when a pending step's timer was set anew. Decided again, a timer of another step may therefore find that one
/// due too and ask once more.
fn without_askings(flow: &Flow, state: &State) -> State {
    let mut state = state.clone();
    for (index, step) in state.steps.iter_mut().enumerate() {
        if flow.definition.command_at(index).is_some_and(|command| command.pending.is_some()) {
            step.attempt = 0;
            step.due = step.due.filter(|_| step.status != Status::Pending);
        }
    }
    state
}

fn broken_by(row: &Row, one: &Move, now: OffsetDateTime) -> Option<String> {
    if row.state.phase.has_ended() {
        return Some(format!("a saga that had ended was moved by {:?}", one.event));
    }
    if row.state != one.from && !is_known_difference(&row.state, &one.from) {
        return Some(format!("{:?} was decided from what is not stored", one.event));
    }
    // Steps have other places in another version.
    let is_moved = matches!(one.event, Event::VersionMoved { .. });
    for (before, after) in one.from.steps.iter().zip(&one.to.steps).filter(|_| !is_moved) {
        let is_on_its_way_back = matches!(after.status, Status::Undoing | Status::UndoRetrying | Status::Undone);
        let goes_back = (before.status == Status::Done && after.status != Status::Done && !is_on_its_way_back)
            || (before.status == Status::Undone && after.status != Status::Undone);
        if goes_back {
            return Some(format!("a step went back from {:?} to {:?}", before.status, after.status));
        }
        let has_fired = one.event == Event::Woke && before.status == Status::Waiting && after.status != Status::Waiting;
        if has_fired && before.due.is_some_and(|due| due > now) {
            return Some("a deadline fired before its time".to_owned());
        }
    }
    None
}
