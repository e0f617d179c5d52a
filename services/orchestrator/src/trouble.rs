//! What keeps a live saga at its step, though it is neither parked nor paused: its participant's last failure, whom it waits for
//! outside, or that it says nothing. So an operator sees why something takes long before it parks.
//!
//! The saga's state says which step it is, and the log what that step was answered last.

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::{
    definition::Definition,
    event::Event,
    state::{State, Status},
};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::definitions::Definitions;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Trouble {
    step: String,
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

/// A step that is asked again, or waits for somebody outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Troubled {
    step: String,
    direction: Direction,
    attempt: u32,
}

/// The first of the saga's steps that is in trouble.
pub(crate) fn troubled(definition: &Definition, state: &State) -> Option<Troubled> {
    let is_troubled = |status, attempt| match status {
        Status::Pending | Status::Retrying | Status::UndoRetrying => true,
        Status::Sent | Status::Undoing => attempt > 1,
        Status::Idle
        | Status::Waiting
        | Status::Done
        | Status::Refused
        | Status::Unknown
        | Status::Skipped
        | Status::DoneAnyway
        | Status::Undone => false,
    };
    let index = state.steps.iter().position(|step| is_troubled(step.status, step.attempt))?;
    let step = &state.steps[index];
    Some(Troubled {
        step: definition.name_of(index).to_owned(),
        direction: step.status.direction(),
        attempt: step.attempt,
    })
}

impl Troubled {
    /// Whether an event is an answer of this step that it is still in trouble after.
    pub(crate) fn is_answered_by(&self, event: &Event) -> bool {
        matches!(event, Event::Replied { step, direction, outcome, .. }
            if *step == self.step && *direction == self.direction && !matches!(outcome, Outcome::Done { .. }))
    }

    /// With the last of its answers; none: it has not said anything.
    pub(crate) fn told(self, answer: Option<&Event>) -> Trouble {
        let (kind, detail) = match answer {
            Some(Event::Replied { outcome: Outcome::Failed { detail, .. }, .. }) => ("failing", detail.clone()),
            Some(Event::Replied { outcome: Outcome::Pending { reason, .. }, .. }) => match self.direction {
                Direction::Do => ("pending", reason.clone()),
                Direction::Undo => ("failing", format!("pending: {reason}")),
            },
            Some(Event::Replied { outcome: Outcome::Refused { code, detail }, .. }) => {
                ("failing", format!("refused: {code}: {detail}"))
            }
            Some(_) | None => ("silent", String::new()),
        };
        let is_undo = self.direction == Direction::Undo;
        Trouble { step: self.step, kind, detail, attempt: self.attempt, is_undo }
    }
}

/// Trouble of these live sagas; those without any are absent.
pub(crate) async fn of_sagas(
    conn: &mut PgConnection,
    definitions: &Definitions,
    ids: &[Uuid],
) -> anyhow::Result<HashMap<Uuid, Trouble>> {
    let rows: Vec<(Uuid, String, i32, Json<State>)> =
        sqlx::query_as("select id, definition, version, progress from saga where id = any($1)")
            .bind(ids)
            .fetch_all(&mut *conn)
            .await
            .context("reading where sagas stand")?;
    let troubled: HashMap<Uuid, Troubled> = rows
        .into_iter()
        .filter_map(|(id, name, version, Json(state))| {
            let definition = definitions.version(&name, version.unsigned_abs())?;
            Some((id, troubled(definition, &state)?))
        })
        .collect();
    if troubled.is_empty() {
        return Ok(HashMap::new());
    }
    let mut answers = last_answers(conn, &troubled).await.context("reading what sagas were answered last")?;
    Ok(troubled.into_iter().map(|(id, one)| (id, one.told(answers.remove(&id).as_ref()))).collect())
}

/// The last answer of each saga's troubled step. The bounds say nothing new, but they tell a plan for any ids which few of the many days
/// it must open.
async fn last_answers(
    conn: &mut PgConnection,
    troubled: &HashMap<Uuid, Troubled>,
) -> Result<HashMap<Uuid, Event>, sqlx::Error> {
    let rows: Vec<(Uuid, Json<Event>)> = sqlx::query_as(
        r"select live.id, latest.event
          from unnest($1::uuid[], $2::text[], $3::text[]) as live (id, step, direction)
          cross join lateral (
              select event from saga_log
              where saga_id = live.id and saga_id between $4 and $5
                and event ->> 'event' = 'replied' and event ->> 'step' = live.step
                and event ->> 'direction' = live.direction and event -> 'outcome' ->> 'status' <> 'done'
              order by revision desc limit 1
          ) latest",
    )
    .bind(troubled.keys().collect::<Vec<_>>())
    .bind(troubled.values().map(|one| one.step.as_str()).collect::<Vec<_>>())
    .bind(troubled.values().map(|one| one.direction.as_str()).collect::<Vec<_>>())
    .bind(troubled.keys().min())
    .bind(troubled.keys().max())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, Json(event))| (id, event)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use makegood_saga::transition::transition;
    use serde_json::{Value, json};
    use time::{Duration, OffsetDateTime};

    use super::*;

    const TRIP: &str = "
saga: trip
version: 1
steps:
  - { step: book, command: air.book, compensate: air.cancel, timeout: 1s }
  - { step: pay, command: bank.pay, timeout: 1s, retry: { attempts: 3, initial: 1s, factor: 1 } }
";

    struct Saga {
        definition: Definition,
        state: State,
        log: Vec<Event>,
        now: OffsetDateTime,
    }

    impl Saga {
        fn begin() -> Self {
            let definition = Definition::parse(TRIP).expect("in order");
            let state = State::new(&definition, Uuid::nil(), json!({}), BTreeMap::new());
            let mut saga = Self { definition, state, log: Vec::new(), now: OffsetDateTime::UNIX_EPOCH };
            saga.feed(Event::Started);
            saga
        }

        fn feed(&mut self, event: Event) {
            self.state = transition(&self.definition, self.state.clone(), &event, self.now).state;
            self.log.push(event);
        }

        fn answer(&mut self, step: &str, direction: Direction, outcome: Outcome) {
            self.feed(Event::Replied { step: step.to_owned(), direction, attempt: 1, outcome });
        }

        fn wait(&mut self) {
            self.now += Duration::seconds(60);
            self.feed(Event::Woke);
        }

        /// As an operator is told it.
        fn trouble(&self) -> Option<(String, &'static str, String, bool)> {
            let troubled = troubled(&self.definition, &self.state)?;
            let answer = self.log.iter().rev().find(|event| troubled.is_answered_by(event));
            let Trouble { step, kind, detail, is_undo, .. } = troubled.told(answer);
            Some((step, kind, detail, is_undo))
        }
    }

    fn told(
        step: &str,
        kind: &'static str,
        detail: &str,
        is_undo: bool,
    ) -> Option<(String, &'static str, String, bool)> {
        Some((step.to_owned(), kind, detail.to_owned(), is_undo))
    }

    #[test]
    fn a_failure_a_wait_and_a_silence_are_told_of_the_step_that_is_out() {
        let failed = |detail: &str| Outcome::Failed { detail: detail.to_owned(), retryable: true };
        let mut saga = Saga::begin();
        assert_eq!(saga.trouble(), None, "asked once is no trouble");
        saga.wait();
        assert_eq!(saga.trouble(), told("book", "silent", "", false));
        saga.answer("book", Direction::Do, failed("on fire"));
        assert_eq!(saga.trouble(), told("book", "failing", "on fire", false));
        saga.wait();
        assert_eq!(saga.trouble(), told("book", "failing", "on fire", false));
        saga.answer("book", Direction::Do, Outcome::Pending { reason: "sign".to_owned(), detail: Value::Null });
        for _ in 0..14 {
            saga.wait();
        }
        assert_eq!(saga.trouble(), told("book", "pending", "sign", false), "however often it is asked");
        saga.answer("book", Direction::Do, Outcome::Done { output: Value::Null });
        assert_eq!(saga.trouble(), None);
        saga.wait();
        assert_eq!(saga.trouble(), told("pay", "silent", "", false), "what was wrong before is over");
        saga.answer("pay", Direction::Do, Outcome::refused("declined", ""));
        assert_eq!(saga.trouble(), None, "it has just turned around");
        saga.answer("book", Direction::Undo, Outcome::refused("gone", "no such seat"));
        assert_eq!(saga.trouble(), told("book", "failing", "refused: gone: no such seat", true));
    }
}
