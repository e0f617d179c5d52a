//! `POST /v1/checkouts`: the front door. Confirming in the same call is one request, not a special case.
//!
//! The request is checked, accepted durably with its batch, and then waits for its saga to open the checkout. All
//! requests with one key wait for the same checkout and are answered the same, byte for byte; only one that
//! prefers to wait longer sees the checkout as it has become.

mod request;

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use http::StatusCode;
use makegood_chassis::{
    auth::Scope,
    extract::PreferWait,
    http::TraceParent,
    idempotency::{self, Claim, Post},
    problem::Problem,
};
use makegood_contracts::{account::Account, id::CheckoutId};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Shared, checkout_json::CheckoutJson, respond};
use crate::{
    checkout::Status,
    checkout_accepting::{Accepted, Request},
    checkout_answer::{self, OpenedCheckout},
    checkout_row::{self, CheckoutRow},
};
use request::OpenCheckout;

/// As it was opened, or as it is read once it has gone on.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it stands for two answers in the description alone")]
pub(super) enum CheckoutAnswer {
    Opened(OpenedCheckout),
    Read(CheckoutJson),
}

/// How long a caller waits for the opening. Past it the checkout goes on by itself and the caller asks for it later.
const OPENING_LIMIT: Duration = Duration::from_secs(20);

/// Opens a checkout: prices the cart and holds its stock; with `confirm` it pays and ships as well.
///
/// With `Prefer: wait=N` the answer is held until the checkout is decided or the buyer must act. A checkout that does
/// not open within 20 seconds (the broker may be away) is answered 202 with a null total, and goes on.
#[utoipa::path(
    post,
    path = "/v1/checkouts",
    tag = "checkouts",
    params(
        ("Idempotency-Key" = String, Header, description = "1 to 255 characters; one key is one checkout, for ever"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`, up to 30 seconds"),
    ),
    request_body = OpenCheckout,
    responses(
        (status = 201, description = "Open; or decided while the caller waited, then as it is read", body = CheckoutAnswer),
        (status = 202, description = "Confirmed, or not open yet; or the buyer must act, then as it is read", body = CheckoutAnswer),
        (status = 404, description = "There is no such cart of this account"),
        (status = 409, description = "Refused, such as `out-of-stock` or `cart-changed`"),
        (status = 422, description = "`invalid-request`, or `idempotency-key-reused` with another request"),
        (status = 429, description = "Too many checkouts are being opened"),
    )
)]
pub(super) async fn open_checkout(
    State(shared): State<Shared>,
    PreferWait(wait): PreferWait,
    TraceParent(traceparent): TraceParent,
    post: Post<OpenCheckout>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Storefront)?;
    let claim = post.required_claim()?.clone();
    let account = post.caller.account;
    let checkout = post.body.into_requested(&shared.http.secret, account, traceparent)?;

    if shared.backlog.is_full() {
        return Err(Problem::overloaded());
    }
    let begun = Instant::now();
    let place = shared.opening_places.try_acquire().map_err(|_| Problem::overloaded())?;
    let accepted =
        shared.accepting.call(Request { claim: claim.clone(), checkout }).await?.map_err(anyhow::Error::from)?;
    let (checkout, is_replayed) = match accepted {
        Accepted::New { checkout } => (checkout, false),
        Accepted::Known { checkout } => (checkout, true),
        Accepted::Answered(answer) if wait.is_zero() || answer.status >= 400 => return Ok(answer.into_response(true)),
        Accepted::Answered(_) => (of_token(&shared, &claim).await?, true),
        Accepted::Mismatch { checkout } => return Err(mismatch(checkout)),
    };
    let row = opened_or_later(&shared, account, checkout).await?;
    drop(place);
    let left = wait.saturating_sub(begun.elapsed());
    answer(&shared, &row, wait, left, is_replayed).await
}

/// The checkout once it is open or decided, or as it is when that takes too long.
async fn opened_or_later(shared: &Shared, account: Account, id: Uuid) -> Result<Arc<CheckoutRow>, Problem> {
    match shared.waiting.until(id, OPENING_LIMIT, CheckoutRow::is_answered).await {
        Some(row) => Ok(row),
        None => {
            let row = checkout_row::load(&shared.http.db, account, id).await?;
            row.map(Arc::new).ok_or_else(|| anyhow::anyhow!("checkout {id} was accepted and is not there").into())
        }
    }
}

/// The key's answer; or the checkout as it has become, for a caller who prefers to wait and whose checkout gets there.
async fn answer(
    shared: &Shared,
    row: &CheckoutRow,
    wait: Duration,
    left: Duration,
    is_replayed: bool,
) -> Result<Response, Problem> {
    let Some(opening) = checkout_answer::opening(row)? else {
        return Ok(checkout_answer::taken(row, Status::Processing)?.into_response(is_replayed));
    };
    // One that waits for its buyer has nothing else to wait for; one that was refused is answered so at once.
    if wait.is_zero() || opening.status >= 400 || row.status == Status::Open {
        return Ok(opening.into_response(is_replayed));
    }
    let settled = if row.is_settled() {
        Some(Arc::new(row.clone()))
    } else {
        shared.wait(row.id, left, CheckoutRow::is_settled).await
    };
    let Some(row) = settled else {
        return Ok(opening.into_response(is_replayed));
    };
    let status = if row.status.is_final() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let response = respond::waited(shared, &row, status)?;
    Ok(if is_replayed { respond::replayed(response) } else { response })
}

/// The checkout that a key has opened.
async fn of_token(shared: &Shared, claim: &Claim) -> Result<Uuid, Problem> {
    let found =
        sqlx::query_scalar("select id from checkout where account_id = $1 and livemode = $2 and token_hash = $3")
            .bind(claim.account.id)
            .bind(claim.account.livemode)
            .bind(&claim.key_hash)
            .fetch_one(&shared.http.db)
            .await?;
    Ok(found)
}

fn mismatch(checkout: Option<Uuid>) -> Problem {
    match checkout {
        Some(checkout) => idempotency::reused().with("checkout", CheckoutId::from_uuid(checkout).to_string()),
        None => idempotency::reused(),
    }
}
