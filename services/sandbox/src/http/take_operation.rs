//! `POST /provider/v1/{authorizations,captures,voids,refunds}`: what a merchant asks for, once per operation id.

use std::{io, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures::stream;
use http::{HeaderMap, StatusCode, header};
use makegood_chassis::{extract::body, problem::Problem};
use makegood_contracts::{
    money::{minor_unit_digits, parse_currency},
    plain_text::is_plain_text,
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{SandboxHttp, merchant::Merchant};
use crate::{
    charge::{self, Authorization, Movement, Void},
    faults::{Faults, happens},
    provider_books::{Operation, Taken, Wanted},
    test_card::{LostAnswer, lost_answer},
};

/// Tokens and references are names; nobody needs longer ones.
const MAX_TEXT_CHARS: usize = 255;

/// An operation as the merchant is answered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Answer {
    #[serde(flatten)]
    operation: Operation,
    /// Where the buyer authenticates, while the status is `requires_action`.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<String>,
}

impl Answer {
    pub(super) fn new(state: &SandboxHttp, headers: &HeaderMap, operation: Operation) -> Self {
        let redirect_url = (operation.status == "requires_action").then(|| {
            let base = state.config.sandbox_public_url.clone().unwrap_or_else(|| own_address(headers));
            format!("{}/provider/v1/challenges/{}", base.trim_end_matches('/'), operation.operation_id)
        });
        Self { operation, redirect_url }
    }
}

/// The address that the request was sent to.
fn own_address(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}

/// Reserves money of a card.
#[utoipa::path(
    post, path = "/provider/v1/authorizations", tag = "sandbox", request_body = Authorization,
    params(("Idempotency-Key" = String, Header, description = "The operation's id, a UUID; the same answer for ever")),
    responses((status = 200, body = Answer), (status = 409, description = "`operation-id-reused`: the id was used for something else"))
)]
pub(super) async fn authorize(
    State(state): State<SandboxHttp>,
    merchant: Merchant,
    request: Request,
) -> Result<Response, Problem> {
    let (headers, authorization) = read::<Authorization>(merchant, request).await?;
    check_text("/payment_method", &authorization.payment_method)?;
    check_amount(authorization.amount_minor, &authorization.currency)?;
    if let Some(reference) = &authorization.reference {
        check_text("/reference", reference)?;
    }
    take(&state, &headers, charge::Request::Authorize(authorization)).await
}

/// Takes authorized money; what is left of the authorization is let go.
#[utoipa::path(
    post, path = "/provider/v1/captures", tag = "sandbox", request_body = Movement,
    params(("Idempotency-Key" = String, Header, description = "The operation's id, a UUID; the same answer for ever")),
    responses((status = 200, body = Answer), (status = 409, description = "`operation-id-reused`: the id was used for something else"))
)]
pub(super) async fn capture(
    State(state): State<SandboxHttp>,
    merchant: Merchant,
    request: Request,
) -> Result<Response, Problem> {
    let (headers, movement) = read::<Movement>(merchant, request).await?;
    check_amount(movement.amount_minor, &movement.currency)?;
    take(&state, &headers, charge::Request::Capture(movement)).await
}

/// Lets authorized money go; an authorization that was never seen will be refused.
#[utoipa::path(
    post, path = "/provider/v1/voids", tag = "sandbox", request_body = Void,
    params(("Idempotency-Key" = String, Header, description = "The operation's id, a UUID; the same answer for ever")),
    responses((status = 200, body = Answer), (status = 409, description = "`operation-id-reused`: the id was used for something else"))
)]
pub(super) async fn void(
    State(state): State<SandboxHttp>,
    merchant: Merchant,
    request: Request,
) -> Result<Response, Problem> {
    let (headers, void) = read::<Void>(merchant, request).await?;
    take(&state, &headers, charge::Request::Void(void)).await
}

/// Gives captured money back.
#[utoipa::path(
    post, path = "/provider/v1/refunds", tag = "sandbox", request_body = Movement,
    params(("Idempotency-Key" = String, Header, description = "The operation's id, a UUID; the same answer for ever")),
    responses((status = 200, body = Answer), (status = 409, description = "`operation-id-reused`: the id was used for something else"))
)]
pub(super) async fn refund(
    State(state): State<SandboxHttp>,
    merchant: Merchant,
    request: Request,
) -> Result<Response, Problem> {
    let (headers, movement) = read::<Movement>(merchant, request).await?;
    check_amount(movement.amount_minor, &movement.currency)?;
    take(&state, &headers, charge::Request::Refund(movement)).await
}

async fn read<T: DeserializeOwned>(_: Merchant, request: Request) -> Result<(HeaderMap, T), Problem> {
    let (parts, sent) = request.into_parts();
    let bytes = body::read(sent).await?;
    body::require_json(&parts.headers)?;
    Ok((parts.headers, body::parse(&bytes)?))
}

fn check_text(pointer: &str, text: &str) -> Result<(), Problem> {
    if is_plain_text(text, MAX_TEXT_CHARS) {
        Ok(())
    } else {
        Err(Problem::invalid(pointer, "must have 1 to 255 characters, none of them a control character"))
    }
}

fn check_amount(amount_minor: i64, currency: &str) -> Result<(), Problem> {
    if amount_minor <= 0 {
        return Err(Problem::invalid("/amount_minor", "must be more than zero"));
    }
    let is_currency = parse_currency(currency).and_then(minor_unit_digits).is_ok();
    if is_currency { Ok(()) } else { Err(Problem::invalid("/currency", "is no currency with minor units")) }
}

fn operation_id(headers: &HeaderMap) -> Result<Uuid, Problem> {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    key.and_then(|key| Uuid::try_parse(key).ok()).ok_or_else(|| {
        let detail = "Send the operation's id, a UUID, as `Idempotency-Key`.";
        Problem::new(StatusCode::BAD_REQUEST, "idempotency-key-required", "Idempotency key required", detail)
    })
}

/// Takes the request, with whatever the faults in force do to it before and after.
async fn take(state: &SandboxHttp, headers: &HeaderMap, request: charge::Request) -> Result<Response, Problem> {
    let operation_id = operation_id(headers)?;
    let faults = state.faults.get();
    let delay = faults.delay();
    // The runtime's timer takes up to two milliseconds even for none.
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if happens(faults.refuse_percent) {
        return Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "sandbox-fault",
            "Fault on demand",
            "Nothing took effect.",
        ));
    }
    let lost = lost_token_answer(&request);
    // Before its first effect a token of this kind is cut off; asked for and sent again, it is there the second time.
    if lost == Some(LostAnswer::BeforeEffect) && state.first_cut.is_first(operation_id) {
        return Ok(cut_off());
    }
    let callbacks = callbacks(&faults, &request);
    match state.books.call(Wanted { operation_id, request, callbacks }).await? {
        Ok(Taken::Answered { is_new: true, .. }) if lost == Some(LostAnswer::AfterEffect) => Ok(cut_off()),
        Ok(Taken::Answered { .. }) if happens(faults.drop_answers_percent) => Ok(cut_off()),
        Ok(Taken::Answered { operation, .. }) => Ok(Json(Answer::new(state, headers, operation)).into_response()),
        Ok(Taken::OtherContent) => {
            let detail = format!("Operation `{operation_id}` was something else.");
            Err(Problem::conflict("operation-id-reused", "Operation id reused", detail))
        }
        Err(_failed) => Err(Problem::unavailable("The books could not be written. Ask for the operation.")),
    }
}

fn lost_token_answer(request: &charge::Request) -> Option<LostAnswer> {
    match request {
        charge::Request::Authorize(authorization) => lost_answer(&authorization.payment_method),
        charge::Request::Capture(_) | charge::Request::Void(_) | charge::Request::Refund(_) => None,
    }
}

/// An operation that is decided at once needs no callback; a share of them gets one all the same, on demand.
fn callbacks(faults: &Faults, request: &charge::Request) -> Vec<Duration> {
    let is_lost = lost_token_answer(request) == Some(LostAnswer::AfterEffect);
    if is_lost || happens(faults.callbacks_percent) { faults.callbacks() } else { Vec::new() }
}

/// An answer that never comes whole: the connection breaks in its body.
fn cut_off() -> Response {
    let broken =
        stream::iter([Err::<Vec<u8>, _>(io::Error::new(io::ErrorKind::ConnectionAborted, "cut off on demand"))]);
    let mut response = Body::from_stream(broken).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, 1_u16.into());
    response
}
