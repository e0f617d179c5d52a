//! `POST /v1/provider/callbacks`: the provider hints that an operation may have been decided.

use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use makegood_chassis::{extract::body, problem::Problem};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::PaymentHttp;

/// Identifiers of events are the provider's; longer ones are nobody's.
const MAX_EVENT_ID_BYTES: usize = 255;

/// More fields may come; what they say is asked for, not believed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct Callback {
    event_id: String,
    #[schema(value_type = String, format = "uuid")]
    operation_id: Uuid,
}

/// Takes a hint: the operation is asked about at once, and what the provider answers then is what counts.
#[utoipa::path(
    post, path = "/v1/provider/callbacks", tag = "payments", request_body = Callback, security(()),
    params(("Provider-Signature" = String, Header, description = "`t=<unix seconds>,v1=<hex HMAC-SHA256 of \"t.body\">`")),
    responses(
        (status = 204, description = "Stored; a repeated event changes nothing"),
        (status = 400, description = "No valid and fresh signature (`invalid-signature`); nothing is stored"),
        (status = 404, description = "No such operation yet: send it again later"),
        (status = 422, description = "A field is missing or cannot be used")
    )
)]
pub(super) async fn receive_callback(
    State(state): State<PaymentHttp>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, sent) = request.into_parts();
    let bytes = body::read(sent).await?;
    let signature = parts.headers.get("provider-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if state.callback_key.verify(signature, &bytes, state.context.clock.now()).is_err() {
        let detail = "The request has no valid and fresh `Provider-Signature`.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-signature", "Invalid signature", detail));
    }
    let callback: Callback = body::parse(&bytes)?;
    let is_id =
        (1..=MAX_EVENT_ID_BYTES).contains(&callback.event_id.len()) && !callback.event_id.contains(char::is_control);
    if !is_id {
        return Err(Problem::invalid("/event_id", "must have 1 to 255 bytes and no control characters"));
    }
    match store(&state.context.db, &callback).await? {
        true => Ok(StatusCode::NO_CONTENT),
        // Not acked away: an operation that is not here (yet) must not lose its callback.
        false => Err(Problem::not_found("operation", callback.operation_id)),
    }
}

/// Keeps the event once and makes its operation due. False if there is no such operation.
async fn store(db: &PgPool, callback: &Callback) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        r"with known as (
              select operation_id from payment_operation where operation_id = $2
          ), heard as (
              insert into provider_callback (event_id, operation_id) select $1, operation_id from known
              on conflict do nothing
              returning operation_id
          ), due as (
              update payment_operation set ask_at = clock_timestamp()
              where operation_id in (select operation_id from heard) and ask_at is not null
          )
          select exists (select from known)",
    )
    .bind(&callback.event_id)
    .bind(callback.operation_id)
    .fetch_one(db)
    .await
}
