//! `POST /v1/admin/sagas/{id}/signal`: an operator gives the signal that a saga awaits.

use axum::{extract::State, response::Response};
use makegood_chassis::{entity_tag::Conditions, extract::Path, idempotency::Post, problem::Problem};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{MovedSaga, operate};
use crate::{http::Admin, operation::Operation};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GiveSignal {
    /// The signal's name in the definition.
    #[schema(example = "parcel_arrived")]
    signal: String,
    reason: String,
    /// Becomes the awaiting step's output.
    #[serde(default)]
    payload: Value,
}

/// Gives a signal to the step that awaits it, or keeps it for that step. The first one counts: when it has come before,
/// the answer is the saga as it is, or 409 if it came with another payload.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/signal", tag = "sagas", request_body = GiveSignal,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = MovedSaga), (status = 404), (status = 409), (status = 412), (status = 422)))]
pub(crate) async fn signal_saga(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<GiveSignal>,
) -> Result<Response, Problem> {
    let body = &post.body;
    let operation = Operation::Signal { signal: body.signal.clone(), payload: body.payload.clone() };
    operate(admin, &id, conditions, &post, &body.reason, operation).await
}
