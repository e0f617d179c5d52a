//! `POST /v1/admin/sagas/{id}/skip`: an operator lets a saga go on without a step.

use axum::{extract::State, response::Response};
use makegood_chassis::{entity_tag::Conditions, extract::Path, idempotency::Post, problem::Problem};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{MovedSaga, operate};
use crate::{http::Admin, operation::Operation};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SkipStep {
    /// The step to go on without.
    #[schema(example = "book_flight")]
    step: String,
    reason: String,
    /// What later steps read in place of the step's answer.
    #[serde(default)]
    output: Value,
}

/// Goes on without a step that is out, waits or is parked. Later steps read the stand-in output, and the step is not
/// undone unless it turns out to be done after all.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/skip", tag = "sagas", request_body = SkipStep,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = MovedSaga), (status = 404), (status = 409), (status = 412), (status = 422)))]
pub(crate) async fn skip_step(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<SkipStep>,
) -> Result<Response, Problem> {
    let body = &post.body;
    let operation = Operation::Skip { step: body.step.clone(), output: body.output.clone() };
    operate(admin, &id, conditions, &post, &body.reason, operation).await
}
