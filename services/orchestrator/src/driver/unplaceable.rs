//! What no saga can take: parked as the message that it came as, so that an operator who has mended the cause can send it again.

use std::collections::HashSet;

use makegood_contracts::{
    command::StepKey,
    orchestrator::{
        CANCEL_SAGA, CancelSaga, MAX_SEARCHED, SIGNAL_SAGA, START_SAGA, SignalSaga, StartSaga, is_searchable,
    },
    reply::Reply,
    subject,
};
use makegood_messaging::{
    dead_letter::{self, DeadLetter},
    worker::Worker,
};
use makegood_saga::{event::Event, transition::Verdict};
use serde::Serialize;
use uuid::Uuid;

use crate::{definitions::Definitions, outgoing::REPLY_PARTITION, saga_store};

/// Those that can be started; the others are parked, and noted as unstarted. None when shutdown came first.
pub(super) async fn startable(
    worker: &Worker,
    definitions: &Definitions,
    starts: Vec<StartSaga>,
    unstarted: &mut HashSet<Uuid>,
) -> Option<Vec<StartSaga>> {
    let mut startable = Vec::with_capacity(starts.len());
    for start in starts {
        match unstartable(definitions, &start) {
            None => startable.push(start),
            Some(why) => {
                unstarted.insert(start.saga_id);
                if !park_start(worker, &start, why).await {
                    return None;
                }
            }
        }
    }
    Some(startable)
}

/// Why a start can never be written, or run by this replica.
fn unstartable(definitions: &Definitions, start: &StartSaga) -> Option<String> {
    let StartSaga { saga_id, definition, reference, customer, .. } = start;
    if definitions.newest(definition).is_none() {
        return Some(format!("there is no definition `{definition}`, which saga {saga_id} is to run"));
    }
    let unsearchable = [("reference", Some(reference)), ("customer", customer.as_ref())]
        .into_iter()
        .find(|(_, text)| text.is_some_and(|text| !is_searchable(text)));
    unsearchable.map(|(field, _)| {
        format!("saga {saga_id}: its {field} is not 1 to {MAX_SEARCHED} characters without control characters")
    })
}

/// Why a start comes too late.
pub(super) fn past(start: &StartSaga) -> String {
    format!("saga {} is older than sagas are kept, and may have run: it was not started", start.saga_id)
}

/// Parks a start. False when shutdown came first.
pub(super) async fn park_start(worker: &Worker, start: &StartSaga, reason: String) -> bool {
    park(worker, &subject::command(START_SAGA), start, reason).await
}

/// Parks a reply that no saga, or no step of its saga, has asked for, a signal that its saga cannot take, and what belongs to a start that was parked just now: sent again
/// without it, a saga would run that was called off. False when shutdown came first.
pub(super) async fn park_if_senseless(
    worker: &Worker,
    saga_id: Uuid,
    event: &Event,
    verdict: Option<&Verdict>,
    unstarted: &HashSet<Uuid>,
) -> bool {
    let reason = match (event, verdict) {
        (_, None) if unstarted.contains(&saga_id) => format!("the start of saga {saga_id} is a dead letter too"),
        (Event::Replied { step, .. }, None) => {
            format!("a reply to step `{step}` of saga {saga_id}, which does not exist")
        }
        (Event::Replied { .. }, Some(Verdict::Unexpected(why))) => format!("a reply to saga {saga_id}: {why}"),
        (Event::Signalled { signal, .. }, Some(Verdict::Unexpected(why) | Verdict::Refused(why))) => {
            format!("the signal `{signal}` to saga {saga_id}: {why}")
        }
        (_, Some(_) | None) => return true,
    };
    park_event(worker, saga_id, event, reason).await
}

/// Parks what cannot be written. False when shutdown came first.
pub(super) async fn park_refused(worker: &Worker, saga_id: Uuid, event: &Event, why: &str) -> bool {
    park_event(worker, saga_id, event, format!("saga {saga_id} cannot be moved by it: {why}")).await
}

async fn park_event(worker: &Worker, saga_id: Uuid, event: &Event, reason: String) -> bool {
    match event.clone() {
        Event::Replied { step, direction, attempt, outcome } => {
            let reply = Reply { key: StepKey { saga_id, step, direction }, attempt, outcome };
            park(worker, &subject::reply(REPLY_PARTITION), &reply, reason).await
        }
        Event::Signalled { signal, payload, by: _ } => {
            park(worker, &subject::command(SIGNAL_SAGA), &SignalSaga { saga_id, signal, payload }, reason).await
        }
        Event::Cancelled { code, detail } => {
            park(worker, &subject::command(CANCEL_SAGA), &CancelSaga { saga_id, code, detail }, reason).await
        }
        // Nobody has sent these: the clock, a restart and operators' requests, which are answered otherwise. The saga is tried
        // again, and with a pause: each time the others of its batch pay for finding it.
        Event::Started
        | Event::Woke
        | Event::Recovered
        | Event::Retried { .. }
        | Event::CompensationForced { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::StepSkipped { .. }
        | Event::CancelledByOperator { .. }
        | Event::VersionMoved { .. }
        | Event::Resolved { .. } => {
            tracing::error!(%saga_id, reason, "a saga cannot be moved; it is tried again in a minute");
            if let Err(error) = saga_store::put_off(&worker.db, saga_id).await {
                tracing::warn!(%saga_id, %error, "a saga that cannot be moved was not put off either");
            }
            true
        }
    }
}

async fn park(worker: &Worker, subject: &str, message: &impl Serialize, reason: String) -> bool {
    let payload = serde_json::to_vec(message).unwrap_or_else(|error| error.to_string().into_bytes());
    let letter = DeadLetter { subject, payload: &payload, reason, deliveries: 1 };
    dead_letter::park(&worker.db, &worker.shutdown, letter).await
}
