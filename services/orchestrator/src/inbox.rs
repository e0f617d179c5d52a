//! From messages to what they mean for sagas.

use makegood_contracts::{
    orchestrator::{CANCEL_SAGA, CancelSaga, SIGNAL_SAGA, START_SAGA, SignalSaga, StartSaga},
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
use uuid::Uuid;

/// What a batch of messages asks for.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) starts: Vec<StartSaga>,
    pub(crate) events: Vec<(Uuid, Event)>,
}

impl Inbox {
    /// Reads a batch. What cannot be read is parked alone; false when shutdown came before that was possible.
    pub(crate) async fn read(&mut self, worker: &Worker, messages: &[Message]) -> bool {
        for message in messages {
            if let Err(reason) = self.read_one(message) {
                let deliveries = message.info().map_or(1, |info| info.delivered);
                let letter = DeadLetter { subject: &message.subject, payload: &message.payload, reason, deliveries };
                if !dead_letter::park(&worker.db, &worker.shutdown, letter).await {
                    return false;
                }
            }
        }
        true
    }

    fn read_one(&mut self, message: &Message) -> Result<(), String> {
        let subject = message.subject.as_str();
        if subject.starts_with("reply.") {
            let replies: Vec<Reply> = decode(message)?;
            self.events.extend(replies.into_iter().map(|Reply { key, attempt, outcome }| {
                (key.saga_id, Event::Replied { step: key.step, direction: key.direction, attempt, outcome })
            }));
        } else if subject == subject::command(START_SAGA) {
            self.starts.extend(decode::<StartSaga>(message)?);
        } else if subject == subject::command(SIGNAL_SAGA) {
            let signals: Vec<SignalSaga> = decode(message)?;
            self.events.extend(
                signals
                    .into_iter()
                    .map(|SignalSaga { saga_id, signal, payload }| (saga_id, Event::Signalled { signal, payload })),
            );
        } else if subject == subject::command(CANCEL_SAGA) {
            let cancels: Vec<CancelSaga> = decode(message)?;
            self.events.extend(
                cancels
                    .into_iter()
                    .map(|CancelSaga { saga_id, code, detail }| (saga_id, Event::Cancelled { code, detail })),
            );
        } else {
            return Err("the orchestrator knows no such command".to_owned());
        }
        Ok(())
    }
}

fn decode<T: DeserializeOwned>(message: &Message) -> Result<Vec<T>, String> {
    serde_json::from_slice(&message.payload).map_err(|error| format!("cannot be read: {error}"))
}
