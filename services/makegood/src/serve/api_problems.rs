//! What every operation has in common in its answers, written into the description once for all of them: each can be
//! refused, always with a problem document, and each answer is called something.

use axum::http::StatusCode;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, OpenApi, PathItem, RefOr, Response, ResponseBuilder,
        path::Operation,
        schema::{ComponentsBuilder, Ref},
    },
};

const PROBLEM_JSON: &str = "application/problem+json";

/// Problem details by RFC 9457. `type` never changes once released; members of its own tell more.
#[derive(serde::Serialize, ToSchema)]
struct Problem {
    #[schema(example = "https://makegood.dev/problems/invalid-request")]
    r#type: String,
    title: String,
    status: u16,
    /// What was wrong, and what to do.
    detail: String,
    /// The request's id, under which our log has it.
    instance: Option<String>,
    /// Where in the body (RFC 6901).
    pointer: Option<String>,
}

/// Completes the answers of every operation.
pub(super) fn describe(document: &mut OpenApi) {
    let schema = ComponentsBuilder::new().schema("Problem", Problem::schema()).build();
    document.components.get_or_insert_default().schemas.extend(schema.schemas);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let answers = &mut operation.responses.responses;
        if operation.security.is_none() {
            answers.entry("401".to_owned()).or_insert_with(|| refusal("No key, or none that is known"));
        }
        answers.entry("default".to_owned()).or_insert_with(|| refusal("Any other refusal or failure"));
        for (status, answer) in answers {
            if let RefOr::T(answer) = answer {
                complete(status, answer);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn refusal(description: &str) -> RefOr<Response> {
    RefOr::T(ResponseBuilder::new().description(description).build())
}

fn complete(status: &str, answer: &mut Response) {
    let code = status.parse::<StatusCode>().ok();
    if answer.description.is_empty() {
        answer.description = code.and_then(|code| code.canonical_reason()).unwrap_or("An answer").to_owned();
    }
    let is_refusal = code.is_none_or(|code| code.is_client_error() || code.is_server_error());
    if is_refusal && answer.content.is_empty() {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        answer.content.insert(PROBLEM_JSON.to_owned(), content.into());
    }
}
