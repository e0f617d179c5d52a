//! `POST /v1/admin/dead_letters/{service}/{id}/redrive`: puts a start, a signal, a cancellation, a reply or an event back where it came from.

use axum::{extract::State, response::Response};
use makegood_chassis::{extract::Path, http::HttpContext, idempotency::Post, problem::Problem};

use super::{
    decide::{Decision, DecisionReason, decide},
    letter_json::DeadLetterSummary,
};

/// Sends a dead letter again, under the ids that it had, so that nothing in it is done twice. It is on its way once `state` is `redriven`.
/// A step's command is refused: its saga sends it, when it is retried.
#[utoipa::path(post, path = "/v1/admin/dead_letters/{service}/{id}/redrive", tag = "dead letters", request_body = DecisionReason,
    params(("service" = String, Path), ("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = DeadLetterSummary), (status = 404), (status = 409), (status = 422)))]
pub(crate) async fn redrive_dead_letter(
    State(http): State<HttpContext>,
    Path(id): Path<String>,
    post: Post<DecisionReason>,
) -> Result<Response, Problem> {
    decide(&http, id, post, Decision::Redrive).await
}
