//! The front door's write: many requests, one transaction, one message to the orchestrator.
//!
//! A request is accepted once its checkout and its claim on the key are committed; everything after that can be
//! repeated by anyone. The key itself lives 24 h; the checkout keeps its hash for ever, so that even an older
//! key finds its checkout and never opens a second one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use makegood_chassis::{
    batcher::{Batcher, Batching},
    failpoint::{self, Failpoint},
    idempotency::{self, Answer, Claim, Claimed},
};
use makegood_contracts::account::Account;
use makegood_messaging::bus::Bus;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::saga_message::{self, RequestedCheckout, SagaMessages};

const BATCHING: Batching = Batching {
    // They travel on together, and so many share the fixed cost of a statement well. More go in trains of their own, which
    // use the cores that the ones before leave idle (docs/performance.md).
    max_batch: 64,
    // A second's worth at full load. More are shed.
    max_queue: 2_048,
    // Two would wait for each other's equal keys.
    lanes: 1,
    // Checkouts that leave together stay together: every message and statement on their way serves all of them. So in a
    // crowd each waits a little for the next ones (docs/performance.md).
    company: Duration::from_millis(6),
};
/// Deadlocks and serialization failures that are tried again before the request is told so.
const MAX_ATTEMPTS: u32 = 3;

/// One request, checked and ready to be written down.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) claim: Claim,
    pub(crate) checkout: RequestedCheckout,
}

/// What accepting a request found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Written down by this request.
    New { checkout: Uuid },
    /// Written down before by an equal request: wait for the same answer.
    Known { checkout: Uuid },
    /// Answered before.
    Answered(Answer),
    /// The key was used with another request, where that is known: for this checkout.
    Mismatch { checkout: Option<Uuid> },
}

/// The batch failed as a whole; each of its requests may be sent again with its key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("accepting checkouts")]
pub(crate) struct NotAccepted(#[source] Arc<sqlx::Error>);

pub(crate) type Accepting = Batcher<Request, Result<Accepted, NotAccepted>>;

/// Starts the batching task.
pub(crate) fn spawn(db: PgPool, bus: Bus) -> Accepting {
    Batcher::spawn(BATCHING, move |requests: Vec<Request>| {
        let (db, bus) = (db.clone(), bus.clone());
        async move {
            let accepted = accept_apart_if_needed(&db, &requests).await;
            failpoint::pass(Failpoint::OrderBeforeStart);
            saga_message::publish_soon(&bus, starts(&requests, &accepted));
            accepted
        }
    })
}

/// The sagas of those that are new.
fn starts(requests: &[Request], accepted: &[Result<Accepted, NotAccepted>]) -> SagaMessages {
    let mut messages = SagaMessages::default();
    for (request, accepted) in requests.iter().zip(accepted) {
        if let Ok(Accepted::New { .. }) = accepted {
            match saga_message::start(&request.checkout) {
                Ok(start) => messages.starts.push(start),
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), checkout = %request.checkout.id, "encoding the start of a saga")
                }
            }
        }
    }
    messages
}

/// All at once; if that fails for a reason that lies in one of them, each alone, so that the others are served.
async fn accept_apart_if_needed(db: &PgPool, requests: &[Request]) -> Vec<Result<Accepted, NotAccepted>> {
    match accept_with_retries(db, requests).await {
        Ok(accepted) => accepted.into_iter().map(Ok).collect(),
        Err(sqlx::Error::Database(error)) if requests.len() > 1 => {
            tracing::warn!(error = %error, requests = requests.len(), "a batch of checkouts failed; accepting each alone");
            let mut apart = Vec::with_capacity(requests.len());
            for request in requests {
                let accepted = accept_with_retries(db, std::slice::from_ref(request)).await;
                apart.push(accepted.map_err(|error| NotAccepted(Arc::new(error))).and_then(only));
            }
            apart
        }
        Err(error) => vec![Err(NotAccepted(Arc::new(error))); requests.len()],
    }
}

fn only(accepted: Vec<Accepted>) -> Result<Accepted, NotAccepted> {
    accepted.into_iter().next().ok_or_else(|| NotAccepted(Arc::new(sqlx::Error::RowNotFound)))
}

async fn accept_with_retries(db: &PgPool, requests: &[Request]) -> Result<Vec<Accepted>, sqlx::Error> {
    let mut attempt = 1;
    loop {
        match accept(db, requests).await {
            Err(error) if attempt < MAX_ATTEMPTS && is_transient(&error) => attempt += 1,
            decided => return decided,
        }
    }
}

/// Serialization failure or deadlock: the same transaction may succeed when run again.
fn is_transient(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40001" || code == "40P01")
}

/// Accepts all of them in one transaction, one result per request in order.
pub(crate) async fn accept(db: &PgPool, requests: &[Request]) -> Result<Vec<Accepted>, sqlx::Error> {
    let (firsts, first_of) = first_per_key(requests);
    let mut tx = db.begin().await?;
    let claims: Vec<(&Claim, Option<Uuid>)> =
        firsts.iter().map(|request| (&request.claim, Some(request.checkout.id))).collect();
    let claimed = idempotency::claim(&mut tx, &claims).await?;
    let decided = decide(&mut tx, &firsts, claimed).await?;
    tx.commit().await?;

    let mut shared: Vec<Option<Accepted>> =
        requests.iter().zip(first_of).map(|(request, first)| share(request, firsts[first], &decided[first])).collect();
    let left: Vec<Request> = requests
        .iter()
        .zip(&shared)
        .filter(|(_, shared)| shared.is_none())
        .map(|(request, _)| request.clone())
        .collect();
    if !left.is_empty() {
        // Fewer each time, as each key's first is decided.
        let decided = Box::pin(accept(db, &left)).await?;
        for (place, decided) in shared.iter_mut().filter(|shared| shared.is_none()).zip(decided) {
            *place = Some(decided);
        }
    }
    Ok(shared.into_iter().flatten().collect())
}

/// Writes down what is new, and finds the checkouts of the rest. The checkout's token is the truth and the key's row a
/// shortcut: a key may have been forgotten after its 24 hours, and claimed again by another request since.
async fn decide(
    tx: &mut PgConnection,
    firsts: &[&Request],
    claimed: Vec<Claimed>,
) -> Result<Vec<Accepted>, sqlx::Error> {
    let new: Vec<&Request> = with(firsts, &claimed, |claimed| matches!(claimed, Claimed::New));
    let inserted: HashSet<Uuid> =
        if new.is_empty() { HashSet::new() } else { insert(tx, &new).await?.into_iter().collect() };
    let mut older: Vec<&Request> =
        with(firsts, &claimed, |claimed| matches!(claimed, Claimed::Deferred { .. } | Claimed::Mismatch));
    older.extend(new.iter().filter(|request| !inserted.contains(&request.checkout.id)));
    let found = if older.is_empty() { HashMap::new() } else { find_by_token(tx, &older).await? };

    // New keys that wait for the checkout of an older one, and not for their own.
    let deferred: Vec<(&Claim, Uuid)> =
        new.iter().filter_map(|request| Some((&request.claim, found.get(&request.checkout.id)?.checkout))).collect();
    if !deferred.is_empty() {
        idempotency::defer(tx, &deferred).await?;
    }
    let accepted =
        firsts.iter().zip(claimed).map(|(request, claimed)| match (claimed, found.get(&request.checkout.id)) {
            (Claimed::Answered(answer), _) => Accepted::Answered(answer),
            (Claimed::New, None) => Accepted::New { checkout: request.checkout.id },
            (_, Some(found)) if found.is_equal => Accepted::Known { checkout: found.checkout },
            (_, found) => Accepted::Mismatch { checkout: found.map(|found| found.checkout) },
        });
    Ok(accepted.collect())
}

fn with<'r>(firsts: &[&'r Request], claimed: &[Claimed], wanted: fn(&Claimed) -> bool) -> Vec<&'r Request> {
    firsts.iter().zip(claimed).filter(|(_, claimed)| wanted(claimed)).map(|(request, _)| *request).collect()
}

/// The first request of each key, in the order in which keys are always locked, and for each request which that is.
fn first_per_key(requests: &[Request]) -> (Vec<&Request>, Vec<usize>) {
    fn key(request: &Request) -> (Account, &[u8]) {
        (request.claim.account, &request.claim.key_hash)
    }
    let mut firsts: Vec<&Request> = Vec::with_capacity(requests.len());
    let mut seen = HashSet::with_capacity(requests.len());
    firsts.extend(requests.iter().filter(|request| seen.insert(key(request))));
    firsts.sort_by_key(|request| key(request));
    let places: HashMap<_, usize> = firsts.iter().enumerate().map(|(place, request)| (key(request), place)).collect();
    let first_of = requests.iter().map(|request| places[&key(request)]).collect();
    (firsts, first_of)
}

/// What a request gets of the decision on the first one with its key; none where that says nothing about this one.
fn share(request: &Request, first: &Request, decided: &Accepted) -> Option<Accepted> {
    if request.checkout.id == first.checkout.id {
        return Some(decided.clone());
    }
    let is_equal = request.claim.fingerprint == first.claim.fingerprint;
    match decided {
        Accepted::New { checkout } if is_equal => Some(Accepted::Known { checkout: *checkout }),
        Accepted::Known { .. } | Accepted::Answered(_) | Accepted::Mismatch { .. } if is_equal => Some(decided.clone()),
        Accepted::New { checkout } | Accepted::Known { checkout } => {
            Some(Accepted::Mismatch { checkout: Some(*checkout) })
        }
        Accepted::Answered(_) => Some(Accepted::Mismatch { checkout: None }),
        // The first was not the key's; this one may be.
        Accepted::Mismatch { .. } => None,
    }
}

async fn insert(tx: &mut PgConnection, new: &[&Request]) -> Result<Vec<Uuid>, sqlx::Error> {
    macro_rules! column {
        ($($field:tt)+) => { new.iter().map(|request| request.$($field)+.clone()).collect::<Vec<_>>() };
    }
    sqlx::query_scalar(
        r#"
        insert into checkout (id, order_id, account_id, livemode, cart_id, email, shipping_address, shipping_method,
                              expected_total, reference, token_hash, fingerprint, confirmed_in_call, confirmation,
                              traceparent, resend_at)
        select *, now() + interval '5 s'
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::uuid[], $6::text[], $7::jsonb[], $8::text[],
                    $9::jsonb[], $10::text[], $11::bytea[], $12::bytea[], $13::boolean[], $14::jsonb[], $15::text[])
        on conflict on constraint checkout_token do nothing
        returning id
        "#,
    )
    .bind(column!(checkout.id))
    .bind(column!(checkout.order_id))
    .bind(column!(checkout.account_id))
    .bind(column!(checkout.livemode))
    .bind(column!(checkout.cart_id))
    .bind(column!(checkout.email))
    .bind(column!(checkout.shipping_address))
    .bind(column!(checkout.shipping_method))
    .bind(column!(checkout.expected_total))
    .bind(column!(checkout.reference))
    .bind(column!(claim.key_hash))
    .bind(column!(claim.fingerprint))
    .bind(column!(checkout.confirmed_in_call))
    .bind(column!(checkout.confirmation))
    .bind(column!(checkout.traceparent))
    .fetch_all(tx)
    .await
}

/// The checkout that a request's token has opened.
#[derive(sqlx::FromRow)]
struct Found {
    requested: Uuid,
    checkout: Uuid,
    /// Opened by an equal request.
    is_equal: bool,
}

/// The checkouts of these requests' tokens, by the id that each request would have given its own.
async fn find_by_token(tx: &mut PgConnection, requests: &[&Request]) -> Result<HashMap<Uuid, Found>, sqlx::Error> {
    let found: Vec<Found> = sqlx::query_as(
        r#"
        select requested.id as requested, checkout.id as checkout, checkout.fingerprint = requested.fingerprint as is_equal
        from unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::bytea[], $5::bytea[])
             as requested (id, account_id, livemode, token_hash, fingerprint)
        join checkout using (account_id, livemode, token_hash)
        "#,
    )
    .bind(requests.iter().map(|request| request.checkout.id).collect::<Vec<_>>())
    .bind(requests.iter().map(|request| request.claim.account.id).collect::<Vec<_>>())
    .bind(requests.iter().map(|request| request.claim.account.livemode).collect::<Vec<_>>())
    .bind(requests.iter().map(|request| request.claim.key_hash.as_slice()).collect::<Vec<_>>())
    .bind(requests.iter().map(|request| request.claim.fingerprint.as_slice()).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    Ok(found.into_iter().map(|found| (found.requested, found)).collect())
}

#[cfg(test)]
mod tests;
