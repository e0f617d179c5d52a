//! From messages to what they mean for sagas.

use makegood_contracts::{
    orchestrator::{CANCEL_SAGA, CancelSaga, SIGNAL_SAGA, START_SAGA, SignalSaga, StartSaga},
    plain_text::escapes_nul,
    reply::Reply,
    subject,
};
use makegood_messaging::consumer::Message;
use makegood_messaging::{
    dead_letter::{self, DeadLetter},
    worker::Worker,
};
use makegood_saga::event::Event;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use uuid::Uuid;

/// What a batch of messages asks for.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) starts: Vec<StartSaga>,
    pub(crate) events: Vec<(Uuid, Event)>,
}

impl Inbox {
    pub(crate) fn len(&self) -> usize {
        self.starts.len() + self.events.len()
    }

    /// Reads a batch. What cannot be read is parked alone, and the rest of its message goes on; false when shutdown came
    /// before that was possible.
    pub(crate) async fn read(&mut self, worker: &Worker, messages: &[Message]) -> bool {
        for message in messages {
            let deliveries = message.info().map_or(1, |info| info.delivered);
            for Unreadable { payload, reason } in self.read_one(message) {
                let letter = DeadLetter { subject: &message.subject, payload, reason, deliveries };
                if !dead_letter::park(&worker.db, &worker.shutdown, letter).await {
                    return false;
                }
            }
        }
        true
    }

    fn read_one<'a>(&mut self, message: &'a Message) -> Vec<Unreadable<'a>> {
        let subject = message.subject.as_str();
        let mut unreadable = Vec::new();
        if subject.starts_with("reply.") {
            let replies: Vec<Reply> = decode(message, &mut unreadable);
            self.events.extend(replies.into_iter().map(|Reply { key, attempt, outcome }| {
                (key.saga_id, Event::Replied { step: key.step, direction: key.direction, attempt, outcome })
            }));
        } else if subject == subject::command(START_SAGA) {
            self.starts.extend(decode::<StartSaga>(message, &mut unreadable));
        } else if subject == subject::command(SIGNAL_SAGA) {
            let signals: Vec<SignalSaga> = decode(message, &mut unreadable);
            self.events.extend(signals.into_iter().map(|SignalSaga { saga_id, signal, payload }| {
                (saga_id, Event::Signalled { signal, payload, by: None })
            }));
        } else if subject == subject::command(CANCEL_SAGA) {
            let cancels: Vec<CancelSaga> = decode(message, &mut unreadable);
            self.events.extend(
                cancels
                    .into_iter()
                    .map(|CancelSaga { saga_id, code, detail }| (saga_id, Event::Cancelled { code, detail })),
            );
        } else {
            let reason = "the orchestrator knows no such command".to_owned();
            unreadable.push(Unreadable { payload: &message.payload, reason });
        }
        unreadable
    }
}

/// A message, or one item of it, that means nothing here.
struct Unreadable<'a> {
    payload: &'a [u8],
    reason: String,
}

/// The items of a message. One by one only where they cannot be read together, which is rare.
fn decode<'a, T: DeserializeOwned>(message: &'a Message, unreadable: &mut Vec<Unreadable<'a>>) -> Vec<T> {
    let body: &'a [u8] = &message.payload;
    if !escapes_nul(body)
        && let Ok(items) = serde_json::from_slice(body)
    {
        return items;
    }
    let mut cannot = |payload, reason| unreadable.push(Unreadable { payload, reason });
    match serde_json::from_slice::<Vec<&'a RawValue>>(body) {
        Ok(items) => items
            .into_iter()
            .filter_map(|item| decode_one(item.get()).map_err(|reason| cannot(item.get().as_bytes(), reason)).ok())
            .collect(),
        Err(error) => {
            cannot(body, format!("cannot be read: {error}"));
            Vec::new()
        }
    }
}

fn decode_one<T: DeserializeOwned>(item: &str) -> Result<T, String> {
    if escapes_nul(item.as_bytes()) {
        return Err("a text in it contains the NUL character (\\u0000), which cannot be stored".to_owned());
    }
    serde_json::from_str(item).map_err(|error| format!("cannot be read: {error}"))
}
