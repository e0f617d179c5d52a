//! Serving: the layers that every request passes, and the listener.

mod connections;
mod gate;
mod metrics;
pub mod request_id;
pub mod trace_parent;

use axum::{Router, extract::DefaultBodyLimit, middleware};
use http::{Method, StatusCode, Uri};

pub use connections::listen;
pub use trace_parent::TraceParent;

use crate::{
    auth::ApiKeys,
    clock::DbClock,
    problem::{Problem, shortened},
    secret::Secret,
    shutdown::Shutdown,
};

/// What handlers share; each service's router state holds one.
#[derive(Debug, Clone)]
pub struct HttpContext {
    pub db: sqlx::PgPool,
    pub clock: DbClock,
    pub keys: ApiKeys,
    pub secret: Secret,
    pub shutdown: Shutdown,
}

/// Body limit of every route: the largest allowed cart (2,000 lines) fits several times.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Requests at once before more are shed: what one core works off within a second or two.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 1024;

/// The merged routers inside their layers: request id, trace context, body limit, panic -> problem, 404/405 problems, in-flight
/// limit -> 429. Whoever speaks another error format puts a layer of its own around this, and so sees the problems of every layer.
pub fn layered(router: Router, max_in_flight: usize) -> Router {
    within(router, gate::Gate::new(max_in_flight, gate::TIMEOUT))
}

fn within(router: Router, gate: gate::Gate) -> Router {
    router
        .fallback(async |uri: Uri| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "Not found",
                format!("There is nothing at `{}`.", shortened(uri.path())),
            )
        })
        .method_not_allowed_fallback(async |method: Method| {
            let detail = format!("`{method}` is not for this path; the header `Allow` says what is.");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(gate, gate::pass))
}

#[cfg(test)]
mod tests;
