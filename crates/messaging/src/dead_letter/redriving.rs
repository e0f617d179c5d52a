//! Sending dead letters again: what an operator has asked for is published until JetStream has it.
//!
//! The request only writes; this publishes, outside any transaction, and then notes it. Dying in between, or a second replica,
//! sends a message twice, which is what every message may be: the saga's log and the events' versions see to it.
//!
//! A step's command is not among them. It may have been given up since, its saga compensated and gone: done now, nobody would
//! make it good again. Its saga still wants it or does not, and says so by itself, or when an operator retries it.

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use serde_json::value::RawValue;
use sqlx::PgPool;
use uuid::Uuid;

use super::KEPT_BYTES;
use crate::{bus::Bus, worker::Worker};

/// A person waits for it, and nothing else does.
const EVERY: Duration = Duration::from_secs(2);
/// Of one round.
const LETTERS: i64 = 32;
/// At a time: one whose message is not taken holds up none behind it, and the role keeps its connections.
const AT_ONCE: usize = 4;
/// The commands that start, signal and cancel sagas.
const TO_SAGAS: &str = "cmd.orchestrator.";

/// Publishes what is to be sent again, until shutdown.
pub async fn keep_redriving(worker: Worker) {
    loop {
        if let Err(error) = redrive_due(&worker.db, &worker.bus).await {
            tracing::warn!(error = format!("{error:#}"), "dead letters could not be sent again; trying again");
        }
        if !worker.shutdown.pause(EVERY).await {
            return;
        }
    }
}

/// One round. Each letter is taken for ten seconds: if it is not noted as sent by then, it is due again.
pub(super) async fn redrive_due(db: &PgPool, bus: &Bus) -> anyhow::Result<()> {
    let due: Vec<(Uuid, String, Vec<u8>)> = sqlx::query_as(
        r"with due as (
              select id from dead_letter where redrive_at <= now() order by redrive_at limit $1 for update skip locked)
          update dead_letter d set redrive_at = now() + interval '10 s' from due where d.id = due.id
          returning d.id, d.subject, d.payload",
    )
    .bind(LETTERS)
    .fetch_all(db)
    .await
    .context("taking dead letters that are to be sent again")?;
    futures::stream::iter(due)
        .for_each_concurrent(AT_ONCE, |(id, subject, payload)| async move {
            if let Err(error) = send_again(db, bus, id, &subject, &payload).await {
                tracing::warn!(letter.id = %id, error = format!("{error:#}"), "a dead letter could not be sent again; trying again");
            }
        })
        .await;
    Ok(())
}

async fn send_again(db: &PgPool, bus: &Bus, id: Uuid, subject: &str, payload: &[u8]) -> anyhow::Result<()> {
    let resolution = match message(subject, payload) {
        Ok(message) => {
            bus.publish(subject, message).await?;
            Some("redriven")
        }
        // It could when it was asked for, by another release.
        Err(why) => {
            tracing::error!(letter.id = %id, why, "a dead letter cannot be sent again, and waits for an operator");
            None
        }
    };
    sqlx::query(
        r"update dead_letter set redrive_at = null, resolution = $2, resolved_at = case when $2 is not null then now() end
          where id = $1 and resolved_at is null",
    )
    .bind(id)
    .bind(resolution)
    .execute(db)
    .await
    .context("noting that a dead letter was sent again")?;
    Ok(())
}

/// The message as it is sent again, which is what was kept of it, or why there is none.
pub(super) fn message(subject: &str, payload: &[u8]) -> Result<Vec<u8>, &'static str> {
    if subject.starts_with("cmd.") && !subject.starts_with(TO_SAGAS) {
        return Err("It is a step's command, which only its saga sends: retry the saga that it belongs to.");
    }
    let is_subject = [TO_SAGAS, "evt.", "reply."].iter().any(|start| subject.starts_with(start));
    if !is_subject || subject.contains(['*', '>']) {
        return Err("What was kept is no message, but what came of one: if it belongs to a saga, retry that.");
    }
    if payload.len() >= KEPT_BYTES {
        return Err("It is longer than what is kept of a message.");
    }
    as_array(payload).ok_or("It is no JSON that a message could be made of, and would be parked again.")
}

/// An array of objects as it is, one object as an array; none of anything else.
fn as_array(payload: &[u8]) -> Option<Vec<u8>> {
    let is_object = |item: &&RawValue| item.get().starts_with('{');
    if let Ok(items) = serde_json::from_slice::<Vec<&RawValue>>(payload) {
        return (!items.is_empty() && items.iter().all(is_object)).then(|| payload.to_vec());
    }
    let item = serde_json::from_slice::<&RawValue>(payload).ok().filter(is_object)?;
    Some([b"[".as_slice(), item.get().as_bytes(), b"]"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_sent_as_it_was_kept() {
        let sent = |subject, payload: &str| {
            message(subject, payload.as_bytes()).map(|body| String::from_utf8(body).expect("JSON"))
        };
        let start = r#"{"definition":"trip","input":{"price":1.10,"n\u0061me":"Ann"}}"#;
        let array = format!("[{start}]");
        for kept in [start, &array] {
            assert_eq!(sent("cmd.orchestrator.start_saga.v1", kept).as_deref(), Ok(array.as_str()));
        }
        assert_eq!(sent("evt.product.priced.v1", r#"[{"a":1},{"b":2}]"#).as_deref(), Ok(r#"[{"a":1},{"b":2}]"#));
        assert!(sent("reply.0", "{}").is_ok());
    }

    #[test]
    fn what_is_no_message_or_not_an_operators_to_send_is_not_sent() {
        let long = format!("[{}]", "1".repeat(KEPT_BYTES));
        for (subject, payload) in [
            ("reply.>", "{}"),
            ("hold_stock", "{}"),
            ("cmd.inventory.hold_stock.v1", "{}"),
            ("cmd.orchestrator.*", "{}"),
            ("cmd.orchestrator.start_saga.v1", "no JSON"),
            ("cmd.orchestrator.start_saga.v1", "[1]"),
            ("cmd.orchestrator.start_saga.v1", "[]"),
            ("cmd.orchestrator.start_saga.v1", long.as_str()),
        ] {
            assert!(message(subject, payload.as_bytes()).is_err(), "{subject} {payload:.20}");
        }
    }
}
