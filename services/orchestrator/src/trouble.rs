//! What keeps a live saga at its step, though it is neither parked nor paused: its participant's last failure, what it waits for
//! outside, or that it says nothing. So an operator sees why something takes long before it parks.

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::event::Event;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

/// How far back the reason may lie: the answer, the next asking, and as many of a group's members beside them.
const LATEST: i64 = 12;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Trouble {
    pub(crate) step: String,
    /// `failing`: it was tried and failed; `pending`: somebody outside must act; `silent`: asked more than once, with no answer.
    #[schema(example = "failing")]
    kind: &'static str,
    /// What the participant said last; empty of one that is silent.
    #[schema(example = "the printer is on fire")]
    detail: String,
    /// The attempt that is out, or was out last.
    attempt: u32,
    /// Whether it is being undone.
    is_undo: bool,
}

/// An entry of a saga's log, as far as trouble is read off it.
pub(crate) struct Entry<'a> {
    pub(crate) event: &'a Event,
    pub(crate) sent: &'a [Sent],
}

/// A command that was sent because of an event.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Sent {
    pub(crate) step: String,
    pub(crate) direction: Direction,
    pub(crate) attempt: u32,
}

/// Trouble by the latest entries of a live saga, the newest first.
pub(crate) fn trouble<'a>(newest_first: impl IntoIterator<Item = Entry<'a>>) -> Option<Trouble> {
    let mut asked_again: Option<&Sent> = None;
    for Entry { event, sent } in newest_first {
        match event {
            Event::Replied { step, direction, attempt, outcome } => {
                let told = |kind, detail: &str| {
                    let later = asked_again.filter(|sent| sent.step == *step && sent.direction == *direction);
                    Some(Trouble {
                        step: step.clone(),
                        kind,
                        detail: detail.to_owned(),
                        attempt: later.map_or(*attempt, |sent| sent.attempt),
                        is_undo: *direction == Direction::Undo,
                    })
                };
                match outcome {
                    Outcome::Refused { code, detail } if *direction == Direction::Undo => {
                        return told("failing", &format!("refused: {code}: {detail}"));
                    }
                    Outcome::Failed { detail, .. } => return told("failing", detail),
                    Outcome::Pending { reason, .. } => return told("pending", reason),
                    // A member of the same group, perhaps: what was asked again is still out.
                    Outcome::Done { .. } | Outcome::Refused { .. }
                        if asked_again.is_some_and(|sent| sent.step != *step) => {}
                    Outcome::Done { .. } | Outcome::Refused { .. } => break,
                }
            }
            Event::Woke | Event::Recovered | Event::Retried { .. } => {
                asked_again = asked_again.or_else(|| sent.iter().find(|sent| sent.attempt > 1));
            }
            Event::Signalled { .. } | Event::Paused { .. } | Event::Resumed { .. } | Event::VersionMoved { .. } => {}
            Event::Started
            | Event::Cancelled { .. }
            | Event::CompensationForced { .. }
            | Event::StepSkipped { .. }
            | Event::CancelledByOperator { .. }
            | Event::Resolved { .. } => break,
        }
    }
    asked_again.map(|sent| Trouble {
        step: sent.step.clone(),
        kind: "silent",
        detail: String::new(),
        attempt: sent.attempt,
        is_undo: sent.direction == Direction::Undo,
    })
}

/// Trouble of these live sagas; those without any are absent.
pub(crate) async fn of_sagas(conn: &mut PgConnection, ids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Trouble>> {
    type Row = (Uuid, sqlx::types::Json<Event>, Option<sqlx::types::Json<Vec<Sent>>>);
    let rows: Vec<Row> = sqlx::query_as(
        r"select latest.saga_id, latest.event, latest.sent
          from unnest($1::uuid[]) as live (id)
          cross join lateral (
              select saga_id, revision, event, sent from saga_log where saga_id = live.id order by revision desc limit $2
          ) latest
          order by latest.saga_id, latest.revision desc",
    )
    .bind(ids)
    .bind(LATEST)
    .fetch_all(conn)
    .await
    .context("reading what sagas were told last")?;
    Ok(rows
        .chunk_by(|one, next| one.0 == next.0)
        .filter_map(|rows| {
            let entries = rows.iter().map(|(_, event, sent)| Entry {
                event: &event.0,
                sent: sent.as_ref().map_or(&[], |sent| sent.0.as_slice()),
            });
            Some((rows.first()?.0, trouble(entries)?))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn sent(step: &str, attempt: u32) -> Vec<Sent> {
        vec![Sent { step: step.to_owned(), direction: Direction::Do, attempt }]
    }

    fn replied(step: &str, attempt: u32, outcome: Outcome) -> (Event, Vec<Sent>) {
        (Event::Replied { step: step.to_owned(), direction: Direction::Do, attempt, outcome }, Vec::new())
    }

    /// Kind, step, attempt and detail, by a log that is given oldest first.
    fn told(log: &[(Event, Vec<Sent>)]) -> Option<(&'static str, String, u32, String)> {
        let entries = log.iter().rev().map(|(event, sent)| Entry { event, sent });
        trouble(entries).map(|trouble| (trouble.kind, trouble.step, trouble.attempt, trouble.detail))
    }

    fn expected(kind: &'static str, attempt: u32, detail: &str) -> Option<(&'static str, String, u32, String)> {
        Some((kind, "pack".to_owned(), attempt, detail.to_owned()))
    }

    #[test]
    fn a_failure_a_wait_and_a_silence_are_told_until_the_step_is_decided() {
        let failed = || Outcome::Failed { detail: "on fire".to_owned(), retryable: true };
        let done = || Outcome::Done { output: Value::Null };
        let mut log = vec![(Event::Started, sent("pack", 1))];
        assert_eq!(told(&log), None, "asked once is no trouble");
        log.push((Event::Woke, sent("pack", 2)));
        assert_eq!(told(&log), expected("silent", 2, ""));
        log.push(replied("pack", 2, failed()));
        assert_eq!(told(&log), expected("failing", 2, "on fire"));
        log.push((Event::Woke, sent("pack", 3)));
        assert_eq!(told(&log), expected("failing", 3, "on fire"));
        log.push(replied("label", 1, done()));
        assert_eq!(told(&log), None, "a sibling's answer is newer than the asking that nobody has answered yet");
        log.push((Event::Woke, sent("pack", 4)));
        assert_eq!(told(&log), expected("failing", 4, "on fire"));
        log.push(replied("pack", 4, Outcome::Pending { reason: "sign".to_owned(), detail: Value::Null }));
        assert_eq!(told(&log), expected("pending", 4, "sign"));
        log.push(replied("pack", 5, done()));
        assert_eq!(told(&log), None);
    }
}
