//! Errors on HTTP: RFC 9457 problem details, the one way in which a request fails.
//!
//! What the caller can mend is told exactly; what is our own failure is logged with its whole chain, once,
//! and told as "internal" or "unavailable" only: no message of a library or of the database leaves the process.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use crate::{batcher::Overloaded, database::is_away, http::request_id};

/// Where the problem types are described; part of every `type` and so never changed.
const TYPE_BASE: &str = "https://makegood.dev/problems/";

/// Extension that also becomes the `Retry-After` header.
const RETRY_AFTER: &str = "retry_after_seconds";

/// Longer than any id, SKU or path of ours.
const MAX_REPEATED_CHARS: usize = 128;

/// A problem document. `kind` becomes `type: https://makegood.dev/problems/<kind>` and never changes once released.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub kind: &'static str,
    pub title: &'static str,
    pub detail: String,
    pub extensions: Map<String, Value>,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into(), extensions: Map::new() }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Tells when to come again. 429 and 503 say one second unless told otherwise.
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with(RETRY_AFTER, seconds)
    }

    /// 404: nothing of this id for this account. Another account's object answers the same.
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        let detail = format!("There is no {what} `{}`.", shortened(&id.to_string()));
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 422: the request is well-formed JSON, but `pointer` (RFC 6901) holds something that cannot be used.
    pub fn invalid(pointer: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", "Invalid request", detail)
            .with("pointer", pointer)
    }

    /// 409: a business refusal, `kind` tells which.
    pub fn conflict(kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title, detail)
    }

    /// 503 + Retry-After.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable", detail)
    }

    /// 429 + Retry-After: the request was shed before anything was done.
    pub fn overloaded() -> Self {
        let detail = "Too many requests are being worked on. This request did nothing; send it again a little later.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", "Too many requests", detail)
    }

    /// 500. What happened belongs in the log and not in here.
    pub fn internal() -> Self {
        let detail = "Something went wrong on our side. It was logged under the id in `instance`.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        let told = self.extensions.get(RETRY_AFTER).and_then(Value::as_u64);
        let shed = self.status == StatusCode::TOO_MANY_REQUESTS || self.status == StatusCode::SERVICE_UNAVAILABLE;
        told.or(shed.then_some(1))
    }

    /// The document as it is sent. The standard members win over extensions of the same name.
    pub fn document(&self) -> Value {
        let mut members = self.extensions.clone();
        members.insert("type".to_owned(), format!("{TYPE_BASE}{}", self.kind).into());
        members.insert("title".to_owned(), self.title.into());
        members.insert("status".to_owned(), self.status.as_u16().into());
        members.insert("detail".to_owned(), self.detail.as_str().into());
        if let Some(id) = request_id::current() {
            members.insert("instance".to_owned(), id.into());
        }
        Value::Object(members)
    }
}

impl From<anyhow::Error> for Problem {
    /// Logs the whole chain with the request's id, tells the caller nothing but "internal". Database out of reach or pool exhausted: 503.
    fn from(error: anyhow::Error) -> Self {
        let request_id = request_id::current().unwrap_or_default();
        if error.chain().any(|cause| cause.downcast_ref::<sqlx::Error>().is_some_and(is_away)) {
            tracing::warn!(
                request.id = request_id,
                error = format!("{error:#}"),
                "the database cannot serve a request now"
            );
            return Self::unavailable("The request could not be served just now. Send it again a little later.");
        }
        tracing::error!(request.id = request_id, error = format!("{error:#}"), "a request failed");
        Self::internal()
    }
}

/// What a caller sent, as far as it is repeated to them: enough for any id or path that exists.
pub(crate) fn shortened(sent: &str) -> String {
    match sent.char_indices().nth(MAX_REPEATED_CHARS) {
        Some((end, _)) => format!("{}…", &sent[..end]),
        None => sent.to_owned(),
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl From<Overloaded> for Problem {
    fn from(error: Overloaded) -> Self {
        match error {
            Overloaded::QueueFull => Self::overloaded(),
            Overloaded::BatchLost => anyhow::Error::from(error).into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.document().to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_standard_members_and_the_extensions() {
        let document = Problem::invalid("/email", "is too long").with("status", 200).document();
        assert_eq!(document["type"], "https://makegood.dev/problems/invalid-request");
        assert_eq!((&document["status"], &document["pointer"]), (&Value::from(422), &Value::from("/email")));
    }

    #[test]
    fn a_long_id_is_not_repeated_in_full() {
        let detail = Problem::not_found("cart", "é".repeat(60_000)).detail;
        assert!(detail.chars().count() < 200 && detail.ends_with("é…`."), "{detail}");
        assert_eq!(Problem::not_found("cart", "crt_1").detail, "There is no cart `crt_1`.");
    }

    #[test]
    fn an_exhausted_pool_is_told_as_unavailable_however_deep_it_lies() {
        let error = anyhow::Error::from(sqlx::Error::PoolTimedOut).context("reading the cart");
        let response = Problem::from(error).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn an_unknown_error_tells_nothing_of_itself() {
        let problem = Problem::from(anyhow::anyhow!("password=hunter2"));
        assert_eq!(problem.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.document().to_string().contains("hunter2"));
    }
}
