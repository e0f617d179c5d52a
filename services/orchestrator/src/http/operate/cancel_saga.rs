//! `POST /v1/admin/sagas/{id}/cancel`: an operator calls a saga off.

use axum::{extract::State, response::Response};
use makegood_chassis::{entity_tag::Conditions, extract::Path, idempotency::Post, problem::Problem};

use super::{MovedSaga, OperationReason, operate};
use crate::{http::Admin, operation::Operation};

/// Calls the saga off: it waits for what is out, and then makes good everything it did. Refused once the pivot is reached.
#[utoipa::path(post, path = "/v1/admin/sagas/{id}/cancel", tag = "sagas", request_body = OperationReason,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = MovedSaga), (status = 404), (status = 409), (status = 412), (status = 422)))]
pub(crate) async fn cancel_saga(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    conditions: Conditions,
    post: Post<OperationReason>,
) -> Result<Response, Problem> {
    operate(admin, &id, conditions, &post, &post.body.reason, Operation::Cancel).await
}
