//! One key, one answer: the claim, the effect and the stored answer are one transaction.
//!
//! A POST whose effect is local needs no lease and knows no "unknown": if the process dies before COMMIT, nothing
//! happened and the key is free; after it, the answer is there for everyone. Duplicates that come while the
//! first runs wait for its transaction (in this process by a per-key queue, across processes on the unique index).
//! An answer that becomes known only later (a checkout that must be priced first) is *deferred*: the
//! effect and the claim commit with a resource id, and whoever sees the decision first stores the answer.
//!
//! In reading order: [`Post`] reads a request and its key, [`once`] runs it, [`claim`], [`store`] and [`defer`] are
//! the table for those who run many at once, [`KeyQueue`] makes duplicates wait, [`keep_partitions`] forgets old keys.

mod canonical;
mod key_queue;
mod midnight;
mod once;
mod partitions;
mod post;
mod table;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use makegood_contracts::account::Account;
use uuid::Uuid;

pub use self::{
    key_queue::{KeyQueue, Turn},
    once::{Effect, once},
    partitions::keep_partitions,
    post::{NoBody, Post, key_of},
    table::{claim, defer, store},
};
use crate::{problem::Problem, secret::Secret};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A stored answer: what every caller of the key gets, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// JSON; sent as application/json, or application/problem+json from 400 on.
    pub body: String,
    /// `Location`, where something was created.
    pub location: Option<String>,
}

impl Answer {
    pub fn json(status: StatusCode, body: &impl serde::Serialize) -> anyhow::Result<Self> {
        Ok(Self { status: status.as_u16(), body: serde_json::to_string(body)?, location: None })
    }

    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// A business refusal that is to be stored, and so replayed.
    pub fn refusal(problem: &Problem) -> Self {
        Self { status: problem.status.as_u16(), body: problem.document().to_string(), location: None }
    }

    pub fn into_response(self, replayed: bool) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = if self.status < 400 { "application/json" } else { "application/problem+json" };
        let mut response = match self.body.is_empty() {
            true => status.into_response(),
            false => (status, [(header::CONTENT_TYPE, content_type)], self.body).into_response(),
        };
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        if replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// A key as it is claimed: the hash of the client's key and the fingerprint of what it was sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub account: Account,
    /// HMAC-SHA256 of the client's key.
    pub key_hash: Vec<u8>,
    /// HMAC-SHA256 over method, path and the canonical (RFC 8785) body.
    pub fingerprint: Vec<u8>,
}

impl Claim {
    /// `request` is whatever makes two requests the same: method, path and canonical body.
    pub fn new(secret: &Secret, account: Account, key: &str, request: &[&[u8]]) -> Self {
        let key_hash = secret.mac("idempotency-key", &[key.as_bytes()]).to_vec();
        Self { account, key_hash, fingerprint: secret.mac("idempotency-fingerprint", request).to_vec() }
    }
}

/// What claiming a key found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Ours: do the effect in this transaction, then [`store`] or [`defer`].
    New,
    /// Done before: send this with `Idempotency-Replayed: true`.
    Answered(Answer),
    /// Accepted before, answer not yet known: wait for the resource.
    Deferred { resource: Uuid },
    /// The key was used with another request: 422.
    Mismatch,
}

/// 409: the first request with this key is still running. Nobody may run a second one beside it.
pub fn in_use() -> Problem {
    let detail = "A request with this key is still being worked on. Send it again a little later to get its answer.";
    Problem::conflict("idempotency-key-in-use", "Idempotency key in use", detail).retry_after(1)
}

/// 422: the key stands for another request.
pub fn reused() -> Problem {
    let detail = "This key was used before with another method, path or body. Use a new key for a new request.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency key reused", detail)
}
