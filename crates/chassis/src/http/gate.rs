//! What every request passes, in one place: its id, its trace, the limits, and the net under a panic.
//!
//! One function and not a tower of layers, because each layer boxes the rest of the way once more.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use http::header;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};

use super::{MAX_BODY_BYTES, metrics, request_id, trace_parent};
use crate::{extract::body, problem::Problem, role::panic_message, telemetry};

/// Longer than any `Prefer: wait` (30 s) with its work; a request that takes this long is stuck.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(super) struct Gate {
    in_flight: Arc<Semaphore>,
    timeout: Duration,
}

impl Gate {
    pub(super) fn new(max_in_flight: usize, timeout: Duration) -> Self {
        Self { in_flight: Arc::new(Semaphore::new(max_in_flight)), timeout }
    }
}

pub(super) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id::read_or_make(request.headers());
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = request_id::scope(id.clone(), gate.admit(request, next)).await;
    response.headers_mut().insert(request_id::HEADER, id);
    metrics::observe(&method, path.as_ref().map(MatchedPath::as_str), response.status(), started.elapsed());
    response
}

impl Gate {
    /// Sheds what is too much or too large before anything is read, and runs the rest.
    async fn admit(&self, mut request: Request, next: Next) -> Response {
        let Ok(_place) = self.in_flight.try_acquire() else {
            return Problem::overloaded().into_response();
        };
        if declared_length(&request).is_some_and(|length| length > MAX_BODY_BYTES as u64) {
            return body::too_large().into_response();
        }
        let span = tracing::debug_span!(target: telemetry::REQUEST_TARGET, "http.request", method = %request.method(), path = request.uri().path());
        let received = trace_parent::read(request.headers());
        let own = telemetry::join_trace(&span, received.as_ref());
        request.extensions_mut().insert(own.or(received).unwrap_or_else(trace_parent::make));
        run(next.run(request), self.timeout, span).await
    }
}

fn declared_length(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn run(work: impl Future<Output = Response>, timeout: Duration, span: Span) -> Response {
    // A panic leaves nothing half-done behind that another request could see: state is in the database.
    let guarded = AssertUnwindSafe(tokio::time::timeout(timeout, work)).catch_unwind();
    match guarded.instrument(span).await {
        Ok(Ok(response)) => response,
        Ok(Err(_elapsed)) => {
            let detail = format!(
                "The request took longer than {} s. Ask for its outcome under the same idempotency key.",
                timeout.as_secs()
            );
            Problem::unavailable(detail).into_response()
        }
        Err(panicked) => {
            let request_id = request_id::current().unwrap_or_default();
            tracing::error!(request.id = request_id, panic = panic_message(&*panicked), "a request panicked");
            Problem::internal().into_response()
        }
    }
}
