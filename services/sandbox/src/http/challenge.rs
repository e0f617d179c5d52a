//! `/provider/v1/challenges/{id}`: where a buyer authenticates, as a page with two buttons.

use axum::{
    Json,
    extract::{Request, State},
    response::{Html, IntoResponse, Response},
};
use http::header;
use makegood_chassis::{
    extract::{Path, body},
    problem::Problem,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SandboxHttp;
use crate::provider_books::{self, Operation};

/// What the buyer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum ChallengeOutcome {
    Authenticated,
    Failed,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishChallenge {
    outcome: ChallengeOutcome,
}

/// The page that the buyer is sent to. The id is the secret: whoever has the address may answer.
#[utoipa::path(
    get, path = "/provider/v1/challenges/{id}", tag = "sandbox", params(("id" = String, Path)), security(()),
    responses((status = 200, description = "The page", content_type = "text/html"), (status = 404, description = "No such challenge"))
)]
pub(super) async fn show_challenge(
    State(state): State<SandboxHttp>,
    Path(id): Path<Uuid>,
) -> Result<Html<String>, Problem> {
    let authorization = find(&state, id).await?;
    let amount = authorization.amount_minor;
    let currency = authorization.currency.unwrap_or_default();
    let body = match authorization.status.as_str() {
        "requires_action" => format!(
            r#"<p>A shop asks for {amount} minor units of {currency}. Is it you who pays?</p>
<form method="post"><button name="outcome" value="authenticated">It is me</button>
<button name="outcome" value="failed">It is not me</button></form>"#
        ),
        _ => "<p>This has been answered. You can go back to the shop.</p>".to_owned(),
    };
    Ok(Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sandbox bank</title><h1>Sandbox bank</h1>\n{body}\n</html>\n"
    )))
}

/// Answers the challenge, once.
#[utoipa::path(
    post, path = "/provider/v1/challenges/{id}", tag = "sandbox", params(("id" = String, Path)), security(()), request_body = FinishChallenge,
    responses(
        (status = 200, description = "Decided; the merchant gets a callback"),
        (status = 404, description = "No such challenge"),
        (status = 409, description = "`challenge-answered`: it was decided, or its payment called off, before")
    )
)]
pub(super) async fn finish_challenge(
    State(state): State<SandboxHttp>,
    Path(id): Path<Uuid>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, sent) = request.into_parts();
    let bytes = body::read(sent).await?;
    let is_form = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let outcome = if is_form { form_outcome(&bytes)? } else { body::parse::<FinishChallenge>(&bytes)?.outcome };
    find(&state, id).await?;
    let callbacks = state.faults.get().callbacks();
    let is_authenticated = outcome == ChallengeOutcome::Authenticated;
    if !provider_books::finish_challenge(&state.context.db, id, is_authenticated, &callbacks).await? {
        return Err(Problem::conflict("challenge-answered", "Challenge answered", "The challenge is over."));
    }
    let thanks = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><p>Thank you. You can go back to the shop.</p></html>\n";
    Ok(if is_form { Html(thanks).into_response() } else { Json(FinishChallenge { outcome }).into_response() })
}

/// The form has one field with one of two values: nothing needs decoding.
fn form_outcome(form: &[u8]) -> Result<ChallengeOutcome, Problem> {
    match form {
        b"outcome=authenticated" => Ok(ChallengeOutcome::Authenticated),
        b"outcome=failed" => Ok(ChallengeOutcome::Failed),
        _ => Err(Problem::invalid("/outcome", "must be `authenticated` or `failed`")),
    }
}

async fn find(state: &SandboxHttp, id: Uuid) -> Result<Operation, Problem> {
    let operation = provider_books::find(&state.context.db, id).await?;
    operation.filter(|operation| operation.kind == "authorize").ok_or_else(|| Problem::not_found("challenge", id))
}
