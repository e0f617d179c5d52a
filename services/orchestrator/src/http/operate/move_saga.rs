//! `POST /v1/admin/sagas/{id}/move`: an operator puts a saga on another version of its definition.

use axum::{extract::State, response::Response};
use makegood_chassis::{entity_tag::Conditions, extract::Path, idempotency::Post, problem::Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{MovedSaga, operate};
use crate::{http::Admin, operation::Operation};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveSaga {
    /// The version to go on with.
    #[schema(minimum = 1, example = 2)]
    version: u32,
    reason: String,
}

/// Puts a saga that waits, is paused or is parked on another version of its definition. Refused, with every reason, if
/// what has begun does not mean the same in that version.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/move", tag = "sagas", request_body = MoveSaga,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = MovedSaga), (status = 404), (status = 409), (status = 412), (status = 422)))]
pub(crate) async fn move_saga(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<MoveSaga>,
) -> Result<Response, Problem> {
    let body = &post.body;
    let operation = Operation::Move { version: body.version };
    operate(admin, &id, conditions, &post, &body.reason, operation).await
}
