//! `POST /v1/admin/sagas/{id}/resolve`: an operator has settled a parked step by hand.

use axum::{extract::State, response::Response};
use makegood_chassis::{entity_tag::Conditions, extract::Path, idempotency::Post, problem::Problem};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{MovedSaga, operate};
use crate::{http::Admin, operation::Operation};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveStep {
    /// The parked step that was settled by hand.
    #[schema(example = "book_flight")]
    step: String,
    reason: String,
    /// What the step would have answered; later steps read it.
    #[serde(default)]
    output: Value,
}

/// Takes a parked step as settled by hand, done on the way forward and undone on the way back, and goes on.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/resolve", tag = "sagas", request_body = ResolveStep,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = MovedSaga), (status = 404), (status = 409), (status = 412), (status = 422)))]
pub(crate) async fn resolve_step(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<ResolveStep>,
) -> Result<Response, Problem> {
    let body = &post.body;
    let operation = Operation::Resolve { step: body.step.clone(), output: body.output.clone() };
    operate(admin, &id, conditions, &post, &body.reason, operation).await
}
