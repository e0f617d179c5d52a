//! One orchestrator, as services/orchestrator's driver is: one batch at a time is decided on what is at hand, written on
//! the condition of the revision, published, and only then acked. It may die, or stand still, between any two of them.

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use makegood_contracts::{command::Direction, orchestrator::StartSaga, reply::Reply};
use makegood_saga::{
    event::Event,
    state::{State, Status},
    transition::{Transition, Verdict},
};
use rand::Rng as _;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    Simulation, Tick,
    flows::Flow,
    store::{Loaded, Move},
    wire::{Command, Message, MessageId},
};
use crate::{bug::Bug, engine};

/// Deadlines are looked for this often.
pub(super) const DUE_ROUND: Duration = Duration::milliseconds(200);
/// A due saga that is not moved is due again after this.
const DUE_LEASE: Duration = Duration::seconds(5);

/// A saga that a replica has at hand.
#[derive(Clone)]
struct Instance {
    flow: Rc<Flow>,
    state: State,
    revision: u32,
    wake_at: Option<OffsetDateTime>,
}

/// Something to do for one saga.
#[derive(Clone)]
pub(super) struct Task {
    /// To be acked when it is done.
    pub(super) message: Option<MessageId>,
    pub(super) saga: Uuid,
    pub(super) what: What,
}

#[derive(Clone)]
pub(super) enum What {
    Start(Rc<StartSaga>),
    Event(Event),
}

/// What was decided and is not written yet.
struct Turn {
    task: Task,
    one: Move,
    /// What the saga becomes here if the write succeeds.
    commands: Vec<Command>,
}

#[derive(Default)]
pub(super) struct Replica {
    cache: BTreeMap<Uuid, Instance>,
    inbox: VecDeque<Task>,
    turn: Option<Turn>,
    /// How far the machine's clock is from the database's.
    pub(super) skew: Duration,
}

impl Replica {
    /// What a new process has: nothing.
    pub(super) fn restarted(&mut self) {
        *self = Self { skew: self.skew, ..Self::default() };
    }
}

impl Simulation {
    /// A message for the orchestrator goes to either replica.
    pub(super) fn take_message(&mut self, id: MessageId, message: &Rc<Message>) -> bool {
        let up: Vec<usize> = (0..self.replicas.len()).filter(|replica| self.is_reachable(*replica)).collect();
        if up.is_empty() {
            return false;
        }
        let replica = up[self.random.random_range(0..up.len())];
        let (saga, what) = match &**message {
            Message::Start(start) => (start.saga_id, What::Start(Rc::new(start.clone()))),
            Message::Command(_) => return true,
            Message::Reply(_) | Message::Signal(_) | Message::Cancel(_) => {
                let Some((saga, event)) = event_of(message) else { return true };
                (saga, What::Event(event))
            }
        };
        if self.bug == Some(Bug::AckBeforeCommit) {
            self.ack(id);
        }
        self.give(replica, Task { message: Some(id), saga, what });
        true
    }

    pub(super) fn give(&mut self, replica: usize, task: Task) {
        self.replicas[replica].inbox.push_back(task);
        self.decide_next(replica);
    }

    fn local_time(&self, replica: usize) -> OffsetDateTime {
        let skew = if self.bug == Some(Bug::TimersByLocalClock) { self.replicas[replica].skew } else { Duration::ZERO };
        self.schedule.now + skew
    }

    /// Decides the next task, unless one is being written. Writing it takes a moment, in which much can happen.
    pub(super) fn decide_next(&mut self, replica: usize) {
        while self.replicas[replica].turn.is_none() {
            let Some(task) = self.replicas[replica].inbox.pop_front() else { return };
            if let Some(turn) = self.decide(replica, task) {
                self.replicas[replica].turn = Some(turn);
                let delay = Duration::microseconds(self.random.random_range(100..3_000));
                self.schedule.after(delay, Tick::Write { replica, epoch: self.replica_epoch(replica) });
            }
        }
    }

    /// None when there is nothing to write; then what is left is done at once.
    fn decide(&mut self, replica: usize, task: Task) -> Option<Turn> {
        let now = self.local_time(replica);
        let (instance, event, is_from_cache) = match &task.what {
            What::Start(start) => {
                let signals = start.signals.clone().into_iter().collect();
                let Some(flow) = self.flows.newest(&start.definition, self.schedule.now) else {
                    self.breaks(format!("nobody knows the definition {}", start.definition));
                    return None;
                };
                let state = State::new(&flow.definition, start.saga_id, start.input.clone(), signals);
                (Instance { flow, state, revision: 0, wake_at: None }, Event::Started, false)
            }
            What::Event(event) => match self.replicas[replica].cache.remove(&task.saga) {
                Some(instance) => (instance, event.clone(), true),
                None => {
                    let Some(Loaded { flow, state, revision, wake_at }) = self.load(task.saga) else {
                        // Nobody knows the saga: its start was lost, and will be told again.
                        self.done(task.message);
                        return None;
                    };
                    (Instance { flow, state, revision, wake_at }, event.clone(), false)
                }
            },
        };
        let flow = Rc::clone(&instance.flow);
        let moved = engine::step(self.bug, &flow.definition, instance.state.clone(), &event, now);
        if is_from_cache && matches!(moved.verdict, Verdict::Unexpected(_)) {
            // Another replica may have moved it since: it is read anew.
            return self.decide(replica, task);
        }
        let commands = self.commands_of(&flow, &moved);
        match &moved.verdict {
            Verdict::Moved | Verdict::Conflict(_) => {}
            Verdict::Ignored | Verdict::Refused(_) => {
                self.replicas[replica].cache.insert(task.saga, Instance { state: moved.state, ..instance });
                self.publish_soon(replica, task.message, commands);
                return None;
            }
            // What an operator has left out is done all the same, and the saga is over: that is for people.
            Verdict::Unexpected(_) if self.answers_what_was_left_out(task.saga, &event) => {
                self.publish_soon(replica, task.message, commands);
                return None;
            }
            Verdict::Unexpected(why) => {
                self.breaks(format!("{why}: {event:?}"));
                return None;
            }
        }
        if let Verdict::Conflict(why) = &moved.verdict
            && !self.answers_what_was_left_out(task.saga, &event)
        {
            self.breaks(format!("{why}: {event:?}"));
        }
        if self.bug == Some(Bug::PublishBeforeCommit) {
            for command in &commands {
                self.publish_command(command.clone());
            }
        }
        let wake_at = lazily(instance.wake_at, moved.state.wake_at());
        let Transition { state, effects, logged, .. } = moved;
        let event = logged.unwrap_or(event);
        let one = Move {
            id: task.saga,
            from_revision: instance.revision,
            flow,
            from: instance.state,
            to: state,
            event,
            at: now,
            effects,
            wake_at,
        };
        Some(Turn { task, one, commands })
    }

    /// The write reaches the database.
    pub(super) fn write_turn(&mut self, replica: usize) {
        let Some(Turn { task, one, commands }) = self.replicas[replica].turn.take() else { return };
        let (saga, revision, wake_at) = (task.saga, one.from_revision + 1, one.wake_at);
        let (flow, state) = (Rc::clone(&one.flow), one.to.clone());
        let is_written = match &task.what {
            What::Start(start) => self.insert(start, one),
            What::Event(_) => self.write(one),
        };
        let is_start = matches!(task.what, What::Start(_));
        if is_written || self.bug == Some(Bug::CacheKeptAfterLostRace) {
            let has_ended = state.phase.has_ended();
            if !has_ended {
                self.replicas[replica].cache.insert(saga, Instance { flow, state, revision, wake_at });
            }
        }
        if is_written {
            self.publish_soon(replica, task.message, commands);
        } else if is_start {
            // It keeps going as it is.
            self.done(task.message);
        } else {
            // The race for the revision is lost: once more, from what the winner left.
            self.replicas[replica].inbox.push_front(task);
        }
        self.decide_next(replica);
    }

    /// Publishing takes a moment too; the ack comes last.
    fn publish_soon(&mut self, replica: usize, message: Option<MessageId>, commands: Vec<Command>) {
        let delay = Duration::microseconds(self.random.random_range(50..1_000));
        let epoch = self.replica_epoch(replica);
        self.schedule.after(delay, Tick::Publish { replica, epoch, message, commands });
    }

    pub(super) fn publish_turn(&mut self, replica: usize, message: Option<MessageId>, commands: Vec<Command>) {
        for command in commands {
            self.publish_command(command);
        }
        if let Some(message) = message {
            let delay = Duration::microseconds(self.random.random_range(50..1_000));
            self.schedule.after(delay, Tick::Ack { replica, epoch: self.replica_epoch(replica), message });
        }
    }

    fn done(&mut self, message: Option<MessageId>) {
        if let Some(message) = message {
            self.ack(message);
        }
    }

    /// Sagas whose deadline has come, each taken by one replica.
    pub(super) fn due_round(&mut self, replica: usize) {
        let now = self.local_time(replica);
        let due: Vec<Uuid> = self
            .store
            .rows
            .iter()
            .filter(|(_, row)| row.wake_at.is_some_and(|wake_at| wake_at <= now))
            .map(|(id, _)| *id)
            .collect();
        for saga in due {
            if let Some(row) = self.store.rows.get_mut(&saga) {
                row.wake_at = Some(now + DUE_LEASE);
            }
            self.forget_if_stale(replica, saga);
            self.give(replica, Task { message: None, saga, what: What::Event(Event::Woke) });
        }
    }

    /// All live sagas send again what is out.
    pub(super) fn recover(&mut self, replica: usize) {
        if self.bug == Some(Bug::RecoverySendsNothing) {
            return;
        }
        for saga in self.store.live() {
            self.forget_if_stale(replica, saga);
            self.give(replica, Task { message: None, saga, what: What::Event(Event::Recovered) });
        }
    }

    /// A timer or a recovery that finds nothing to do must not have looked at what is old.
    fn forget_if_stale(&mut self, replica: usize, saga: Uuid) {
        if self.bug == Some(Bug::TimerTrustsCache) {
            return;
        }
        let stored = self.store.rows.get(&saga).map(|row| row.revision);
        let cache = &mut self.replicas[replica].cache;
        if cache.get(&saga).is_some_and(|instance| Some(instance.revision) != stored) {
            cache.remove(&saga);
        }
    }

    /// What is out, by saga, step and direction.
    pub(super) fn out(&self) -> Vec<(Uuid, String, Direction)> {
        let mut out = Vec::new();
        for (id, row) in
            self.store.rows.iter().filter(|(_, row)| row.state.parked.is_none() && row.state.paused.is_none())
        {
            for (index, step) in row.state.steps.iter().enumerate() {
                let is_out = matches!(step.status, Status::Sent | Status::Undoing);
                let direction = if step.status == Status::Undoing { Direction::Undo } else { Direction::Do };
                if is_out {
                    out.push((*id, row.flow.name_of(index).to_string(), direction));
                }
            }
        }
        out
    }
}

/// A timer that fires early costs a look; the row is written with a later one only when it must be.
fn lazily(stored: Option<OffsetDateTime>, needed: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
    match (stored, needed) {
        (Some(stored), Some(needed)) if stored <= needed => Some(stored),
        (_, needed) => needed,
    }
}

/// What a message means for its saga; none for one that is not about a saga that has begun.
pub(super) fn event_of(message: &Message) -> Option<(Uuid, Event)> {
    match message {
        Message::Reply(Reply { key, attempt, outcome }) => {
            // A text that is split always has a first part.
            let step = key.step.split('~').next().unwrap_or_default().to_owned();
            let event = Event::Replied { step, direction: key.direction, attempt: *attempt, outcome: outcome.clone() };
            Some((key.saga_id, event))
        }
        Message::Signal(one) => {
            Some((one.saga_id, Event::Signalled { signal: one.signal.clone(), payload: one.payload.clone(), by: None }))
        }
        Message::Cancel(one) => {
            Some((one.saga_id, Event::Cancelled { code: one.code.clone(), detail: one.detail.clone() }))
        }
        Message::Start(_) | Message::Command(_) => None,
    }
}
