//! `GET /provider/v1/operations/{id}`: what became of a request, for a merchant that lost the answer.

use axum::{Json, extract::State};
use http::{HeaderMap, StatusCode};
use makegood_chassis::{extract::Path, problem::Problem};
use uuid::Uuid;

use super::{SandboxHttp, merchant::Merchant, take_operation::Answer};
use crate::provider_books;

/// An operation by the id that the merchant gave it.
#[utoipa::path(
    get, path = "/provider/v1/operations/{id}", tag = "sandbox", params(("id" = String, Path)),
    responses((status = 200, body = Answer), (status = 404, description = "`operation-unknown`: it was never seen"))
)]
pub(super) async fn read_operation(
    State(state): State<SandboxHttp>,
    _merchant: Merchant,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Json<Answer>, Problem> {
    match provider_books::find(&state.context.db, id).await? {
        Some(operation) => Ok(Json(Answer::new(&state, &headers, operation))),
        None => {
            let detail = format!("Operation `{id}` was never seen.");
            Err(Problem::new(StatusCode::NOT_FOUND, "operation-unknown", "Operation unknown", detail))
        }
    }
}
