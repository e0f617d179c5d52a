//! What JetStream does with a message: it keeps it, delivers it, and delivers it again until it is acked; and what it may
//! do wrong: lose it, double it, hold it up, or forget everything.

use std::{collections::BTreeMap, rc::Rc};

use makegood_contracts::{
    command::StepKey,
    orchestrator::{CancelSaga, SignalSaga, StartSaga},
    reply::Reply,
};
use rand::Rng as _;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{Simulation, Tick};

pub(super) type MessageId = u64;

/// As long as the broker waits for an ack.
const ACK_WAIT: Duration = Duration::seconds(10);
/// While nobody is there to take it.
const NOBODY_THERE: Duration = Duration::seconds(1);

#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) key: StepKey,
    /// `service.verb_noun`
    pub(super) name: String,
    pub(super) attempt: u32,
    pub(super) deadline: Option<OffsetDateTime>,
    pub(super) payload: Value,
}

#[derive(Debug)]
pub(super) enum Message {
    Command(Command),
    Reply(Reply),
    Start(StartSaga),
    Signal(SignalSaga),
    Cancel(CancelSaga),
}

#[derive(Default)]
pub(super) struct Wire {
    kept: BTreeMap<MessageId, Rc<Message>>,
    published: MessageId,
}

impl Wire {
    pub(super) fn find(&self, id: MessageId) -> Option<Rc<Message>> {
        self.kept.get(&id).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// All streams are gone.
    pub(super) fn forget_everything(&mut self) {
        self.kept.clear();
    }
}

impl Simulation {
    pub(super) fn publish(&mut self, message: Message) {
        let message = Rc::new(message);
        let copies = if self.happens(self.faults.repeat) { 2 } else { 1 };
        for _ in 0..copies {
            if self.happens(self.faults.loss) {
                continue;
            }
            self.wire.published += 1;
            let id = self.wire.published;
            self.wire.kept.insert(id, Rc::clone(&message));
            let delay = self.transit();
            self.schedule.after(delay, Tick::Arrive(id));
        }
    }

    /// How long a message takes.
    pub(super) fn transit(&mut self) -> Duration {
        if self.happens(self.faults.delay) {
            return Duration::milliseconds(self.random.random_range(100..15_000));
        }
        Duration::microseconds(self.random.random_range(200..5_000))
    }

    /// A message is delivered, and will be again unless it is acked.
    pub(super) fn arrive(&mut self, id: MessageId) {
        let Some(message) = self.wire.find(id) else { return };
        let is_taken = match &*message {
            Message::Command(command) => self.take_command(id, command),
            Message::Reply(_) | Message::Start(_) | Message::Signal(_) | Message::Cancel(_) => {
                self.take_message(id, &message)
            }
        };
        self.schedule.after(if is_taken { ACK_WAIT } else { NOBODY_THERE }, Tick::Arrive(id));
    }

    pub(super) fn ack(&mut self, id: MessageId) {
        let Some(message) = self.wire.find(id) else { return };
        if !self.is_durable(&message) {
            self.breaks(format!("acked before its effect was durable: {message:?}"));
        }
        self.wire.kept.remove(&id);
    }
}
