//! `POST /v1/admin/dead_letters/{service}/{id}/discard`: what it was about is settled otherwise, and nothing is sent.

use axum::{extract::State, response::Response};
use makegood_chassis::{extract::Path, http::HttpContext, idempotency::Post, problem::Problem};

use super::{
    decide::{Decision, DecisionReason, decide},
    letter_json::DeadLetterSummary,
};

/// Lets a dead letter go: what it was about is settled otherwise, and nothing is sent.
#[utoipa::path(post, path = "/v1/admin/dead_letters/{service}/{id}/discard", tag = "dead letters", request_body = DecisionReason,
    params(("service" = String, Path), ("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = DeadLetterSummary), (status = 404), (status = 409), (status = 422)))]
pub(crate) async fn discard_dead_letter(
    State(http): State<HttpContext>,
    Path(id): Path<String>,
    post: Post<DecisionReason>,
) -> Result<Response, Problem> {
    decide(&http, id, post, Decision::Discard).await
}
