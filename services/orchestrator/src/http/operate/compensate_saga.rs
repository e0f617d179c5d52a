//! `POST /v1/admin/sagas/{id}/compensate`: an operator turns a saga around.

use axum::{extract::State, response::Response};
use makegood_chassis::{entity_tag::Conditions, extract::Path, idempotency::Post, problem::Problem};

use super::{MovedSaga, OperationReason, operate};
use crate::{http::Admin, operation::Operation};

/// Turns the saga around at once: everything it did is made good, and what is out is undone as if it had taken effect.
/// Refused once the pivot is reached.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/compensate", tag = "sagas", request_body = OperationReason,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = MovedSaga), (status = 404), (status = 409), (status = 412), (status = 422)))]
pub(crate) async fn compensate_saga(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<OperationReason>,
) -> Result<Response, Problem> {
    operate(admin, &id, conditions, &post, &post.body.reason, Operation::Compensate).await
}
