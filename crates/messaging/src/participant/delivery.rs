//! From messages to commands: decoding, and parking what cannot be decoded.

use std::collections::HashSet;

use async_nats::jetstream;
use makegood_contracts::{
    command::Command,
    reply::{Outcome, Reply},
};
use serde_json::value::RawValue;

use super::Job;
use crate::{
    dead_letter::{self, DeadLetter},
    worker::Worker,
};

/// A command as it was delivered.
pub(super) struct Delivery {
    pub(super) command: Command,
    pub(super) subject: String,
    pub(super) deliveries: i64,
}

/// A reply and where it goes.
pub(super) struct Answer {
    pub(super) reply_to: String,
    /// Of the command: the trace that the step belongs to.
    pub(super) traceparent: Option<String>,
    pub(super) reply: Reply,
}

/// How often JetStream has delivered the message, this time included.
pub(super) fn count(message: &jetstream::Message) -> i64 {
    message.info().map_or(1, |info| info.delivered)
}

/// Commands of the messages. What is no command is parked alone; the rest of its message goes on. Commands past
/// their deadline are not started: the orchestrator has given up on them, and comes again if it still wants them.
/// None when shutdown came before garbage could be parked: all of it comes again.
pub(super) async fn decode(worker: &Worker, subject: &str, messages: &[jetstream::Message]) -> Option<Vec<Delivery>> {
    let now = worker.clock.now();
    let mut found = Vec::new();
    for message in messages {
        let deliveries = count(message);
        for item in items(&message.payload) {
            match item {
                Ok(command) if command.deadline.is_some_and(|deadline| deadline < now) => {
                    tracing::debug!(key = %command.key, "an expired command is not started");
                }
                Ok(command) => found.push(Delivery { command, subject: subject.to_owned(), deliveries }),
                Err((payload, reason)) => {
                    let letter = DeadLetter { subject, payload, reason, deliveries };
                    if !dead_letter::park(&worker.db, &worker.shutdown, letter).await {
                        return None;
                    }
                }
            }
        }
    }
    Some(found)
}

/// The commands of one body, or what stands in a command's place and why it is none.
fn items(body: &[u8]) -> Vec<Result<Command, (&[u8], String)>> {
    if let Ok(commands) = serde_json::from_slice::<Vec<Command>>(body) {
        return commands.into_iter().map(Ok).collect();
    }
    match serde_json::from_slice::<Vec<&RawValue>>(body) {
        Ok(items) => items
            .into_iter()
            .map(|item| {
                serde_json::from_str(item.get())
                    .map_err(|error| (item.get().as_bytes(), format!("no command: {error}")))
            })
            .collect(),
        Err(error) => vec![Err((body, format!("no JSON array of commands: {error}")))],
    }
}

/// What deliveries hold.
pub(super) struct Inputs<I> {
    pub(super) jobs: Vec<Job<I>>,
    pub(super) unreadable: Vec<Answer>,
    /// Otherwise shutdown came before something unreadable could be parked.
    pub(super) is_complete: bool,
}

/// Jobs with their input read, and answers for those whose input cannot be: a defect, parked with the payload.
/// Duplicates of one key within the batch are dropped: the first one's answer serves them all.
pub(super) async fn read_inputs<I: serde::de::DeserializeOwned>(
    worker: &Worker,
    deliveries: Vec<Delivery>,
) -> Inputs<I> {
    let mut seen = HashSet::new();
    let mut jobs = Vec::with_capacity(deliveries.len());
    let mut unreadable = Vec::new();
    let mut is_complete = true;
    for Delivery { command, subject, deliveries } in deliveries {
        if !seen.insert(command.key.clone()) {
            continue;
        }
        match serde_json::from_str(command.payload.get()) {
            Ok(input) => jobs.push(Job {
                key: command.key,
                attempt: command.attempt,
                traceparent: command.traceparent,
                reply_to: command.reply_to,
                input,
            }),
            Err(error) => {
                let reason = format!("{}: the payload is not this command's input: {error}", command.key);
                let payload = command.payload.get().as_bytes();
                let letter = DeadLetter { subject: &subject, payload, reason: reason.clone(), deliveries };
                if !dead_letter::park(&worker.db, &worker.shutdown, letter).await {
                    is_complete = false;
                    continue;
                }
                unreadable.push(Answer {
                    reply_to: command.reply_to,
                    traceparent: command.traceparent,
                    reply: Reply { key: command.key, attempt: command.attempt, outcome: Outcome::defect(reason) },
                });
            }
        }
    }
    Inputs { jobs, unreadable, is_complete }
}

pub(super) fn answer_job<I>(job: Job<I>, outcome: Outcome) -> Answer {
    let Job { key, attempt, traceparent, reply_to, input: _ } = job;
    Answer { reply_to, traceparent, reply: Reply { key, attempt, outcome } }
}
