//! `POST /v1/admin/sagas`: starts a saga of any definition, once for each id.
//!
//! The saga, its first log row, its audit row and the answer are one transaction; its first commands are published afterwards. Dying in
//! between costs a step's timeout, nothing else.

use std::sync::{Arc, Mutex};

use axum::{extract::State, response::Response};
use makegood_chassis::{
    auth::{Caller, Scope},
    http::TraceParent,
    idempotency::{self, Answer, Post},
    operator_reason::checked_reason,
    problem::Problem,
};
use makegood_contracts::{
    account::Account,
    id::SagaId,
    orchestrator::{MAX_SEARCHED, StartSaga, is_searchable},
};
use makegood_saga::{context, event::Event, state::State as SagaState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Admin;
use crate::{definitions::Definitions, driver::Working, outgoing::Outgoing, saga_cache::Instance, saga_store};

/// Definitions whose sagas belong to a row of the order service, and the requests that write it. Begun without one, they would
/// find nothing.
const BEGUN_OTHERWISE: &[(&str, &str)] = &[
    ("checkout", "POST /v1/checkouts"),
    ("cancel-order", "POST /v1/orders/{id}/cancel"),
    ("return-order", "POST /v1/orders/{id}/returns"),
];

/// What a start is called in the audit.
pub(super) const START: &str = "start";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSaga {
    /// `sga_…`; a UUID of version 7 keeps neighbours together. Left out, it is made up, and `Idempotency-Key` is required.
    #[serde(default)]
    #[schema(example = "sga_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    id: Option<String>,
    /// The definition's name. Its newest version is taken and kept.
    #[schema(example = "welcome-gift")]
    definition: String,
    /// What people search for, such as an order's id.
    #[schema(example = "ann-2026")]
    reference: String,
    /// The customer whom it concerns, as people search for them.
    #[serde(default)]
    customer: Option<String>,
    /// What steps read as `$.input.…`. The key's account and mode are added to it. Never card data or secrets.
    #[serde(default)]
    #[schema(value_type = Object)]
    input: Map<String, Value>,
    /// Why, for whoever reads the audit: 1 to 1,000 characters.
    #[serde(default)]
    reason: Option<String>,
}

/// The saga as it stands now.
#[derive(Debug, Serialize, ToSchema)]
struct StartedSaga {
    #[schema(example = "sga_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    id: String,
    definition: String,
    version: i32,
    state: String,
    /// The current step; null once ended.
    step: Option<String>,
    revision: i32,
}

/// Starts a saga. The same id with the same content again is the same saga, told as it stands; with another it is refused.
#[utoipa::path(post, path = "/v1/admin/sagas", tag = "sagas", request_body = NewSaga,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = StartedSaga), (status = 200, body = StartedSaga, description = "It was started before"),
        (status = 409, description = "The id is another saga's"), (status = 422)))]
pub(crate) async fn start_saga(
    State(admin): State<Admin>,
    TraceParent(traceparent): TraceParent,
    post: Post<NewSaga>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Admin)?;
    if post.body.id.is_none() {
        post.required_claim()?;
    }
    // It may come without one: most starts are a program's.
    let reason = post.body.reason.as_deref().map(checked_reason).transpose()?.unwrap_or_default();
    let start = checked(post.body, post.caller.account, traceparent)?;
    let caller = post.caller.clone();
    let definitions = admin.definitions.current().await?;
    let to_send = Arc::new(Mutex::new(Outgoing::default()));
    let sent = Arc::clone(&to_send);
    let clock = admin.http.clock.clone();
    let answer = idempotency::once(&admin.http.db, post.claim.as_ref(), move |tx| {
        Box::pin(async move {
            let (answer, outgoing) = insert(tx, &definitions, &start, clock.now()).await?;
            if answer.status == http::StatusCode::CREATED.as_u16() {
                audit(tx, start.saga_id, &caller, &reason).await?;
            }
            if let Ok(mut to_send) = sent.lock() {
                *to_send = outgoing;
            }
            Ok(answer)
        })
    })
    .await?;
    let outgoing = to_send.lock().map(|mut outgoing| std::mem::take(&mut *outgoing)).unwrap_or_default();
    outgoing.publish(&admin.bus).await;
    Ok(answer)
}

/// The start as the orchestrator takes it from a message too.
fn checked(new: NewSaga, account: Account, traceparent: String) -> Result<StartSaga, Problem> {
    let saga_id = match &new.id {
        Some(id) => id.parse::<SagaId>().map_err(|error| Problem::invalid("/id", format!("`{id}`: {error}")))?.uuid(),
        None => Uuid::now_v7(),
    };
    for (pointer, text) in [("/reference", Some(&new.reference)), ("/customer", new.customer.as_ref())] {
        if text.is_some_and(|text| !is_searchable(text)) {
            let detail = format!("write 1 to {MAX_SEARCHED} characters, none of them a control character");
            return Err(Problem::invalid(pointer, detail));
        }
    }
    Ok(StartSaga {
        saga_id,
        definition: new.definition,
        reference: new.reference,
        customer: new.customer,
        input: Value::Object(owned(new.input, account)?),
        signals: Map::new(),
        traceparent: Some(traceparent),
    })
}

/// The input with its owner: whoever holds a shop's key starts sagas of that shop and mode, and of no other.
fn owned(mut input: Map<String, Value>, account: Account) -> Result<Map<String, Value>, Problem> {
    for (name, value) in [("account_id", Value::from(account.id.to_string())), ("livemode", account.livemode.into())] {
        if input.get(name).is_some_and(|given| *given != value) {
            let detail = format!("`{name}` is that of the key, `{value}`: leave it out");
            return Err(Problem::invalid(&format!("/input/{name}"), detail));
        }
        input.insert(name.to_owned(), value);
    }
    Ok(input)
}

async fn insert(
    tx: &mut PgConnection,
    definitions: &Definitions,
    start: &StartSaga,
    now: time::OffsetDateTime,
) -> Result<(Answer, Outgoing), Problem> {
    if let Some((name, request)) = BEGUN_OTHERWISE.iter().find(|(name, _)| *name == start.definition) {
        let detail = format!("a `{name}` is begun by `{request}`, together with what it is about");
        return Err(Problem::invalid("/definition", detail));
    }
    let Some(definition) = definitions.newest(&start.definition) else {
        let detail = format!("there is no definition `{}`", start.definition);
        return Err(Problem::invalid("/definition", detail));
    };
    let mut working = Working::of(Instance {
        definition: definition.clone(),
        state: SagaState::new(
            definition,
            start.saga_id,
            start.input.clone(),
            start.signals.clone().into_iter().collect(),
        ),
        revision: 0,
        traceparent: start.traceparent.clone(),
        wake_at: None,
    });
    let bytes = working.context_bytes();
    working.apply(&Event::Started, now)?;
    let (one, outgoing) = working.into_move(start.saga_id);
    let first = one.log.first().ok_or_else(|| anyhow::anyhow!("a start that was not logged"))?;
    let started = saga_store::start(tx, &[(start, &one.instance, first)]).await?;
    if started.past.contains(&start.saga_id) {
        let detail = format!(
            "`{}` is so old that such a saga may have run, ended and gone. Another saga takes a new id.",
            SagaId::from_uuid(start.saga_id),
        );
        return Err(Problem::invalid("/id", detail));
    }
    let is_new = started.new.contains(&start.saga_id);
    if is_new && bytes > context::LIMIT {
        let detail = format!(
            "it makes a context of {bytes} bytes, and {} are allowed: send an id of what is large",
            context::LIMIT
        );
        return Err(Problem::invalid("/input", detail));
    }
    let stored = read(tx, start.saga_id).await?;
    if !stored.is_of(start) {
        let detail = format!(
            "`{}` was started with another definition, reference, customer or input. Another saga takes another id.",
            SagaId::from_uuid(start.saga_id),
        );
        return Err(Problem::conflict("saga-exists", "The id is another saga's", detail));
    }
    let status = if is_new { http::StatusCode::CREATED } else { http::StatusCode::OK };
    let shown = stored.shown(start.saga_id);
    let at = format!("/v1/admin/sagas/{}", shown.id);
    Ok((Answer::json(status, &shown)?.at(at), if is_new { outgoing } else { Outgoing::default() }))
}

async fn audit(tx: &mut PgConnection, id: Uuid, caller: &Caller, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"insert into audit (id, actor, action, saga_id, reason, detail, account_id, livemode)
          values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(Uuid::now_v7())
    .bind(&caller.actor)
    .bind(START)
    .bind(id)
    .bind(reason)
    .bind(sqlx::types::Json(Event::Started))
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct StoredSaga {
    definition: String,
    version: i32,
    reference: String,
    customer: Option<String>,
    input: sqlx::types::Json<Value>,
    state: String,
    step: Option<String>,
    revision: i32,
}

impl StoredSaga {
    /// Whether the start asks for this very saga. The version is not asked for: it is the newest of its time.
    fn is_of(&self, start: &StartSaga) -> bool {
        self.definition == start.definition
            && self.reference == start.reference
            && self.customer == start.customer
            && self.input.0 == start.input
    }

    fn shown(self, id: Uuid) -> StartedSaga {
        StartedSaga {
            id: SagaId::from_uuid(id).to_string(),
            definition: self.definition,
            version: self.version,
            state: self.state,
            step: self.step,
            revision: self.revision,
        }
    }
}

async fn read(tx: &mut PgConnection, id: Uuid) -> Result<StoredSaga, sqlx::Error> {
    sqlx::query_as(
        "select definition, version, reference, customer, input, state, step, revision from every_saga where id = $1",
    )
    .bind(id)
    .fetch_one(tx)
    .await
}
