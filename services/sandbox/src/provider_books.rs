//! The provider's books as they are kept: requests that wait together are taken in one transaction, each once by its
//! operation's id.

mod rows;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use makegood_chassis::batcher::{Batcher, Batching};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    charge::{Charge, Request, Verdict, challenged, decide},
    provider_callbacks,
};

const BATCHING: Batching = Batching {
    // One statement's arrays stay small.
    max_batch: 512,
    // More than a payment service has in flight, so only a flood is refused.
    max_queue: 4_096,
    // Requests of one charge must follow one another, and while one batch commits the next fills.
    lanes: 1,
    company: Duration::ZERO,
};
/// Tries before a batch that loses to another process is given up; its senders will ask.
const MAX_TRIES: u32 = 5;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) operation_id: Uuid,
    pub(crate) request: Request,
    /// One callback for each, so long after the decision.
    pub(crate) callbacks: Vec<Duration>,
}

/// An operation as it is answered and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub(crate) struct Operation {
    #[schema(value_type = String, format = "uuid")]
    pub(crate) operation_id: Uuid,
    /// `authorize`, `capture`, `void` or `refund`.
    pub(crate) kind: String,
    #[schema(value_type = String, format = "uuid")]
    pub(crate) authorization_id: Uuid,
    /// `succeeded`, `declined` or `requires_action`.
    pub(crate) status: String,
    /// As asked for; of a void, what it let go.
    pub(crate) amount_minor: i64,
    pub(crate) currency: Option<String>,
    pub(crate) provider_reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decline_code: Option<String>,
    #[serde(skip)]
    pub(crate) content_hash: Vec<u8>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are answered")]
pub(crate) enum Taken {
    Answered {
        operation: Operation,
        is_new: bool,
    },
    /// The id was used for something else.
    OtherContent,
}

/// The transaction failed, so it is not known here whether it took effect; the sender asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed;

/// Takes requests in batches; to be called inside a runtime.
pub(crate) fn spawn_batcher(db: PgPool) -> Batcher<Wanted, Result<Taken, Failed>> {
    Batcher::spawn(BATCHING, move |wanted: Vec<Wanted>| {
        let db = db.clone();
        async move {
            match take(&db, &wanted).await {
                Ok(taken) => taken.into_iter().map(Ok).collect(),
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        requests = wanted.len(),
                        "requests to the provider could not be taken"
                    );
                    wanted.iter().map(|_| Err(Failed)).collect()
                }
            }
        }
    })
}

/// Takes each request once, in order.
pub(crate) async fn take(db: &PgPool, wanted: &[Wanted]) -> anyhow::Result<Vec<Taken>> {
    let mut tries = 1;
    loop {
        match try_take(db, wanted).await {
            Err(error) if tries < MAX_TRIES && is_lost_race(&error) => tries += 1,
            result => return Ok(result?),
        }
    }
}

/// Another process took one of the operations or charges meanwhile.
fn is_lost_race(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| matches!(&*code, "23505" | "40001" | "40P01"))
}

/// What a batch has come to so far.
struct Batch {
    known: HashMap<Uuid, Operation>,
    charges: HashMap<Uuid, Charge>,
    /// Charges that were there before.
    found: HashSet<Uuid>,
    new: Vec<Operation>,
    touched: Vec<Uuid>,
}

async fn try_take(db: &PgPool, wanted: &[Wanted]) -> Result<Vec<Taken>, sqlx::Error> {
    let mut tx = db.begin().await?;
    let ids: Vec<Uuid> = wanted.iter().map(|wanted| wanted.operation_id).collect();
    let known = rows::operations(&mut tx, &ids).await?;
    let new = wanted.iter().filter(|wanted| !known.contains_key(&wanted.operation_id));
    let charge_ids: Vec<Uuid> = new.map(|wanted| wanted.request.authorization_id(wanted.operation_id)).collect();
    let charges = rows::lock_charges(&mut tx, &charge_ids).await?;

    let found = charges.keys().copied().collect();
    let mut batch = Batch { known, charges, found, new: Vec::new(), touched: Vec::new() };
    let taken: Vec<Taken> = wanted.iter().map(|wanted| batch.take(wanted)).collect();
    if batch.new.is_empty() {
        return Ok(taken);
    }
    rows::insert_operations(&mut tx, &batch.new).await?;
    let (changed, made): (Vec<&Charge>, Vec<&Charge>) =
        batch.touched().into_iter().partition(|charge| batch.found.contains(&charge.authorization_id));
    rows::insert_charges(&mut tx, &made).await?;
    rows::update_charges(&mut tx, &changed).await?;
    rows::end_challenges(&mut tx, &batch.voided()).await?;
    provider_callbacks::enqueue(&mut tx, &callbacks(wanted, &taken)).await?;
    tx.commit().await?;
    Ok(taken)
}

impl Batch {
    fn take(&mut self, wanted: &Wanted) -> Taken {
        let content_hash = content_hash(&wanted.request);
        if let Some(operation) = self.known.get(&wanted.operation_id) {
            return match operation.content_hash == content_hash {
                true => Taken::Answered { operation: operation.clone(), is_new: false },
                false => Taken::OtherContent,
            };
        }
        let authorization_id = wanted.request.authorization_id(wanted.operation_id);
        let before = self.charges.remove(&authorization_id);
        let voided_before = before.as_ref().map_or(0, |charge| charge.voided_minor);
        let (verdict, charge) = decide(wanted.operation_id, &wanted.request, before);
        let released_minor = charge.as_ref().map_or(0, |charge| charge.voided_minor - voided_before);
        if let Some(charge) = charge {
            self.charges.insert(authorization_id, charge);
            self.touched.push(authorization_id);
        }
        let operation = operation(wanted, authorization_id, verdict, content_hash, released_minor);
        self.known.insert(operation.operation_id, operation.clone());
        self.new.push(operation.clone());
        Taken::Answered { operation, is_new: true }
    }

    fn touched(&self) -> Vec<&Charge> {
        let mut charges: Vec<&Charge> = self.touched.iter().filter_map(|id| self.charges.get(id)).collect();
        charges.sort_unstable_by_key(|charge| charge.authorization_id);
        charges.dedup_by_key(|charge| charge.authorization_id);
        charges
    }

    /// Authorizations whose challenge is over, because they were voided.
    fn voided(&self) -> Vec<Uuid> {
        self.new
            .iter()
            .filter(|operation| operation.kind == "void")
            .map(|operation| operation.authorization_id)
            .collect()
    }
}

fn content_hash(request: &Request) -> Vec<u8> {
    // A request is plain data with text keys: writing it to memory cannot fail.
    let content = serde_json::to_vec(request).expect("a request is JSON");
    Sha256::digest(content).to_vec()
}

fn operation(
    wanted: &Wanted,
    authorization_id: Uuid,
    verdict: Verdict,
    content_hash: Vec<u8>,
    released_minor: i64,
) -> Operation {
    let (status, code, decline_code) = words(verdict);
    let amount = wanted.request.amount();
    Operation {
        operation_id: wanted.operation_id,
        kind: wanted.request.kind().to_owned(),
        authorization_id,
        status: status.to_owned(),
        amount_minor: amount.map_or(released_minor, |(minor, _)| minor),
        currency: amount.map(|(_, currency)| currency.to_owned()),
        provider_reference: format!("sbx_{}", wanted.operation_id.simple()),
        code: code.map(str::to_owned),
        decline_code: decline_code.map(str::to_owned),
        content_hash,
    }
}

const fn words(verdict: Verdict) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    match verdict {
        Verdict::Succeeded => ("succeeded", None, None),
        Verdict::RequiresAction => ("requires_action", None, None),
        Verdict::Declined { code, decline_code } => ("declined", Some(code), decline_code),
    }
}

/// Callbacks of what was decided just now. What still needs an action is told when that is done.
fn callbacks(wanted: &[Wanted], taken: &[Taken]) -> Vec<(Uuid, Duration)> {
    let mut callbacks = Vec::new();
    for (wanted, taken) in wanted.iter().zip(taken) {
        if let Taken::Answered { operation, is_new: true } = taken
            && operation.status != "requires_action"
        {
            callbacks.extend(wanted.callbacks.iter().map(|late| (wanted.operation_id, *late)));
        }
    }
    callbacks
}

/// The operation as it stands.
pub(crate) async fn find(db: &PgPool, operation_id: Uuid) -> Result<Option<Operation>, sqlx::Error> {
    let mut conn = db.acquire().await?;
    Ok(rows::operations(&mut conn, &[operation_id]).await?.remove(&operation_id))
}

/// Decides a challenge and tells the merchant. False where none is waiting.
pub(crate) async fn finish_challenge(
    db: &PgPool,
    authorization_id: Uuid,
    authenticated: bool,
    callbacks: &[Duration],
) -> Result<bool, sqlx::Error> {
    let mut tx = db.begin().await?;
    let charge = rows::lock_charges(&mut tx, &[authorization_id]).await?.remove(&authorization_id);
    let Some((verdict, charge)) = charge.and_then(|charge| challenged(charge, authenticated)) else { return Ok(false) };
    rows::update_charges(&mut tx, &[&charge]).await?;
    let (status, code, _) = words(verdict);
    rows::decide_challenge(&mut tx, authorization_id, status, code).await?;
    let callbacks: Vec<(Uuid, Duration)> = callbacks.iter().map(|late| (authorization_id, *late)).collect();
    provider_callbacks::enqueue(&mut tx, &callbacks).await?;
    tx.commit().await?;
    Ok(true)
}
