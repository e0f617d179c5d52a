//! `GET /v1/admin/sagas/{id}`: one saga with its timeline: every event, and every command with its key and payload.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use makegood_chassis::{
    auth::{Caller, Scope},
    entity_tag,
    extract::Path,
    problem::Problem,
};
use makegood_contracts::{
    command::{Direction, StepKey},
    orchestrator::Reason,
    reply::Outcome,
};
use makegood_saga::{
    definition::{Definition, pending_name},
    event::Event,
    state::{Phase, State as SagaState},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Admin,
    list_sagas::{SagaSummary, SummaryRow, summary_columns},
};
use crate::{
    definitions::Definitions, every_saga::every_saga, ownership::owned_by, saga_cache::Instance, saga_store,
    trouble::troubled,
};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SagaDetail {
    #[serde(flatten)]
    saga: SagaSummary,
    /// W3C trace context of the request that began it.
    traceparent: Option<String>,
    /// Why it turns around as soon as what is out is decided; null once it has turned around, and of a saga that nobody has called off.
    called_off: Option<CalledOff>,
    /// Each step of the definition, in order, with its state.
    steps: Vec<StepDetail>,
    /// Input, signals and the outputs of done steps, as later steps read them.
    context: Value,
    /// What happened, oldest first.
    timeline: Vec<TimelineEntry>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CalledOff {
    /// Where it was then.
    step: String,
    code: String,
    detail: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct StepDetail {
    step: String,
    /// `service.verb_noun`; null for an await.
    command: Option<String>,
    /// The signal that an await waits for; null for a command.
    signal: Option<String>,
    compensate: Option<String>,
    /// Once it is asked for, there is no way back: the saga can only go on.
    pivot: bool,
    status: String,
    /// Whether it is parked, or will be as soon as the parked member of its group has been settled.
    needs_operator: bool,
    attempts: u32,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    due: Option<OffsetDateTime>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TimelineEntry {
    revision: i32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    at: OffsetDateTime,
    /// `started`, `replied`, `signalled`, `woke`, `recovered`, `cancelled`, `retried`, … with its particulars.
    event: Value,
    sent: Vec<SentCommand>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SentCommand {
    step: String,
    direction: String,
    attempt: u32,
    command: String,
    /// The idempotency key that the participant knows the step by.
    key: String,
    payload: Value,
}

/// One saga with its timeline.
#[utoipa::path(get, path = "/v1/admin/sagas/{id}", tag = "sagas",
    params(("id" = String, Path, description = "`sga_…`, or the `chk_…`, `cnl_…` or `ret_…` that it belongs to")),
    responses((status = 200, body = SagaDetail), (status = 404)))]
pub(crate) async fn get_saga(
    State(admin): State<Admin>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin)?;
    let uuid = super::saga_id::parse(&id)?;
    let definitions = admin.definitions.current().await?;
    let mut tx = admin.http.db.begin().await?;
    // One look: a saga that moves meanwhile would else be told with a timeline that is ahead of its revision.
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let row: Option<SummaryRow> = sqlx::query_as(concat!(
        "select ",
        summary_columns!(),
        " from ",
        every_saga!(),
        " where id = $1 and ",
        owned_by!("$2", "$3")
    ))
    .bind(uuid)
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .fetch_optional(&mut *tx)
    .await?;
    let row = row.ok_or_else(|| admin.retention.no_saga(&id))?;
    let instance = saga_store::load(&mut tx, &definitions, &[uuid]).await?.remove(&uuid);
    let instance = instance.ok_or_else(|| admin.retention.no_saga(&id))?;
    let log = read_log(&mut tx, uuid).await?;
    tx.commit().await?;
    let etag = entity_tag::of(row.revision.into());
    let mut saga = SagaSummary::from(row);
    if saga.is_at_work()
        && let Some(troubled) = troubled(&instance.definition, &instance.state)
    {
        let answer = log.iter().rev().map(|row| &row.event).find(|event| troubled.is_answered_by(event));
        saga.trouble = Some(troubled.told(answer));
    }
    let detail = SagaDetail {
        saga,
        traceparent: instance.traceparent.clone(),
        called_off: called_off(&instance.state),
        steps: steps(&instance.definition, &instance.state),
        timeline: timeline(&definitions, &instance, log)?,
        context: json!(*instance.state.context),
    };
    Ok(([(http::header::ETAG, etag)], Json(detail)).into_response())
}

fn called_off(state: &SagaState) -> Option<CalledOff> {
    let Reason { step, code, detail } = state.called_off.clone().filter(|_| state.phase == Phase::Forward)?;
    Some(CalledOff { step, code, detail })
}

struct LogRow {
    revision: i32,
    at: OffsetDateTime,
    event: Event,
    sent: Vec<Sent>,
}

#[derive(serde::Deserialize)]
struct Sent {
    step: String,
    direction: Direction,
    attempt: u32,
}

async fn read_log(conn: &mut sqlx::PgConnection, id: Uuid) -> Result<Vec<LogRow>, sqlx::Error> {
    type Row = (i32, OffsetDateTime, sqlx::types::Json<Event>, Option<sqlx::types::Json<Vec<Sent>>>);
    let rows: Vec<Row> =
        sqlx::query_as("select revision, at, event, sent from saga_log where saga_id = $1 order by revision")
            .bind(id)
            .fetch_all(conn)
            .await?;
    let row = |(revision, at, event, sent): Row| LogRow {
        revision,
        at,
        event: event.0,
        sent: sent.map_or_else(Vec::new, |sent| sent.0),
    };
    Ok(rows.into_iter().map(row).collect())
}

fn steps(definition: &Definition, state: &SagaState) -> Vec<StepDetail> {
    state
        .steps
        .iter()
        .enumerate()
        .filter(|(index, _)| *index < definition.steps.len() || definition.finally.is_some())
        .map(|(index, step)| StepDetail {
            step: definition.name_of(index).to_owned(),
            command: definition.command_at(index).map(|command| command.command.clone()),
            signal: definition.signal_at(index).map(str::to_owned),
            compensate: definition.command_at(index).and_then(|command| command.compensate.clone()),
            pivot: definition.pivot == Some(index),
            status: step.status.as_str().to_owned(),
            needs_operator: state.is_for_a_person(definition, index),
            attempts: step.attempt,
            due: step.due,
        })
        .collect()
}

/// Payloads are not stored with each sending: they follow from the definition and the context as it was then, which
/// is the input and the outputs of the log so far.
fn timeline(definitions: &Definitions, instance: &Instance, log: Vec<LogRow>) -> anyhow::Result<Vec<TimelineEntry>> {
    let definition = &instance.definition;
    let mut then = instance.clone();
    let input = instance.state.context.get("input").cloned().unwrap_or_default();
    then.state.context = Map::from_iter([("input".to_owned(), input)]).into();
    // Signals are not outputs of commands: they are known throughout.
    for (name, value) in instance.state.context.iter() {
        if definition.index_of(name).is_some_and(|index| definition.command_at(index).is_none()) {
            then.state.context.insert(name.clone(), value.clone());
        }
    }
    let pin = |then: &mut Instance, version: u32| {
        if let Some(definition) = definitions.version(&definition.name, version) {
            then.definition = definition.clone();
        }
    };
    // What was sent before a move was sent by the version that the saga was on.
    if let Some(first) = log.iter().find_map(|row| moved(&row.event)) {
        pin(&mut then, first.0);
    }
    let mut entries = Vec::with_capacity(log.len());
    let mut is_paused = false;
    for row in log {
        if let Some((_, to)) = moved(&row.event) {
            pin(&mut then, to);
        }
        then.state.context.learn(row.event.clone());
        is_paused =
            matches!(row.event, Event::Paused { .. }) || is_paused && !matches!(row.event, Event::Resumed { .. });
        let mut sent =
            row.sent.into_iter().map(|sent| sent_command(&then, sent)).collect::<anyhow::Result<Vec<_>>>()?;
        sent.extend(told_that_pending(&then, &row.event).filter(|_| !is_paused));
        entries.push(TimelineEntry {
            revision: row.revision,
            at: row.at,
            event: serde_json::to_value(&row.event)?,
            sent,
        });
    }
    Ok(entries)
}

/// The versions between which an event moves a saga.
fn moved(event: &Event) -> Option<(u32, u32)> {
    match event {
        Event::VersionMoved { from, to, .. } => Some((*from, *to)),
        Event::Started
        | Event::Replied { .. }
        | Event::Signalled { .. }
        | Event::Cancelled { .. }
        | Event::Woke
        | Event::Recovered
        | Event::Retried { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::StepSkipped { .. }
        | Event::CompensationForced { .. }
        | Event::CancelledByOperator { .. }
        | Event::Resolved { .. } => None,
    }
}

/// Who was told that a step is pending: that is not stored, since it follows from the answer. A paused saga tells nobody.
fn told_that_pending(then: &Instance, event: &Event) -> Option<SentCommand> {
    let Event::Replied { step, direction, outcome: Outcome::Pending { reason, detail }, .. } = event else {
        return None;
    };
    let index = then.definition.index_of(step).filter(|_| *direction == Direction::Do)?;
    let command = then.definition.command_at(index)?.pending.clone()?;
    let key = StepKey { saga_id: then.state.saga_id, step: pending_name(step), direction: Direction::Do };
    Some(SentCommand {
        direction: key.direction.as_str().to_owned(),
        attempt: 1,
        command,
        key: key.to_string(),
        step: key.step,
        payload: json!({ "reason": reason, "detail": detail }),
    })
}

fn sent_command(then: &Instance, sent: Sent) -> anyhow::Result<SentCommand> {
    let index = then.definition.index_of(&sent.step);
    let step = index.and_then(|index| then.definition.command_at(index));
    let command = step.and_then(|step| match sent.direction {
        Direction::Do => Some(step.command.clone()),
        Direction::Undo => step.compensate.clone(),
    });
    let payload = index.map(|index| crate::outgoing::payload(then, index)).transpose()?.unwrap_or_default();
    let key = StepKey { saga_id: then.state.saga_id, step: sent.step.clone(), direction: sent.direction };
    Ok(SentCommand {
        direction: sent.direction.as_str().to_owned(),
        attempt: sent.attempt,
        command: command.unwrap_or_default(),
        key: key.to_string(),
        step: sent.step,
        payload,
    })
}
