//! Applying other services' events to one's own tables.

use std::time::Duration;

use async_nats::jetstream;
use makegood_contracts::{event::Event, subject};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    backoff::Backoff,
    consumer::{Consumer, ack_all},
    dead_letter::{self, DeadLetter},
    lasting::is_lasting,
    worker::Worker,
};

/// Messages per transaction; each may carry many events.
const MAX_MESSAGES: usize = 64;

/// Applies events of the given names until shutdown. `apply` runs in a transaction and must be idempotent by subject
/// and version: events come twice, late and out of order.
pub async fn apply<F>(worker: Worker, service: &'static str, names: &[&str], apply: F) -> anyhow::Result<()>
where
    F: AsyncFn(&mut PgConnection, &[Event]) -> anyhow::Result<()>,
{
    let filters = names.iter().map(|name| subject::event(name)).collect();
    let mut consumer = Consumer::new(&worker.bus, subject::EVENT_STREAM, service, filters, worker.shutdown.clone());
    while let Some(messages) = consumer.next_batch(MAX_MESSAGES).await {
        let Some(events) = decode(&worker, &messages).await else { break };
        if settle(&worker, service, &apply, events).await {
            ack_all(&messages).await;
        }
    }
    Ok(())
}

/// Events of the messages; what is no event is parked alone. None when shutdown came first.
async fn decode(worker: &Worker, messages: &[jetstream::Message]) -> Option<Vec<Event>> {
    let mut events = Vec::new();
    for message in messages {
        for item in items(&message.payload) {
            match item {
                Ok(event) => events.push(event),
                Err((payload, reason)) => {
                    let deliveries = message.info().map_or(1, |info| info.delivered);
                    let letter = DeadLetter { subject: &message.subject, payload, reason, deliveries };
                    if !dead_letter::park(&worker.db, &worker.shutdown, letter).await {
                        return None;
                    }
                }
            }
        }
    }
    Some(events)
}

fn items(body: &[u8]) -> Vec<Result<Event, (&[u8], String)>> {
    match serde_json::from_slice::<Vec<&RawValue>>(body) {
        Ok(items) => items
            .into_iter()
            .map(|item| {
                serde_json::from_str(item.get()).map_err(|error| (item.get().as_bytes(), format!("no event: {error}")))
            })
            .collect(),
        Err(error) => vec![Err((body, format!("no JSON array of events: {error}")))],
    }
}

/// Applies all of them; splits around one that cannot be applied, and parks it. False when shutdown came first.
async fn settle<F>(worker: &Worker, service: &str, apply: &F, events: Vec<Event>) -> bool
where
    F: AsyncFn(&mut PgConnection, &[Event]) -> anyhow::Result<()>,
{
    let mut batches = vec![events];
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    while let Some(mut events) = batches.pop() {
        if events.is_empty() {
            continue;
        }
        let Err(error) = attempt(worker, apply, &events).await else {
            backoff.reset();
            continue;
        };
        if !is_lasting(&error) {
            tracing::warn!(service, error = format!("{error:#}"), "events will be applied again");
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => batches.push(events),
                () = worker.shutdown.token.cancelled() => return false,
            }
        } else if events.len() > 1 {
            let rest = events.split_off(events.len() / 2);
            batches.extend([rest, events]);
        } else if !park(worker, &events[0], &error).await {
            return false;
        }
    }
    true
}

async fn attempt<F>(worker: &Worker, apply: &F, events: &[Event]) -> anyhow::Result<()>
where
    F: AsyncFn(&mut PgConnection, &[Event]) -> anyhow::Result<()>,
{
    let mut tx = worker.db.begin().await?;
    apply(&mut tx, events).await?;
    tx.commit().await?;
    Ok(())
}

async fn park(worker: &Worker, event: &Event, error: &anyhow::Error) -> bool {
    let payload = serde_json::to_vec(event).unwrap_or_else(|error| error.to_string().into_bytes());
    let reason = format!("{} {} cannot be applied: {error:#}", event.name, event.id);
    let letter = DeadLetter { subject: &subject::event(&event.name), payload: &payload, reason, deliveries: 1 };
    dead_letter::park(&worker.db, &worker.shutdown, letter).await
}
