//! Serving: the layers that every request passes, and the listener.

mod gate;
mod metrics;
pub mod request_id;
pub mod trace_parent;

use std::{future::IntoFuture as _, time::Duration};

use anyhow::Context as _;
use axum::{Router, extract::DefaultBodyLimit, middleware, serve::ListenerExt as _};
use http::{Method, StatusCode, Uri};
use tokio::net::{TcpListener, TcpStream};

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

/// Between the signal and the platform's kill lie 60 s; the loops need some of them too.
const GRACE: Duration = Duration::from_secs(25);

/// Serves the merged routers: request id, trace context, body limit, panic -> problem, 404/405 problems, in-flight limit -> 429.
pub async fn serve(listener: TcpListener, router: Router, context: HttpContext) -> anyhow::Result<()> {
    listen(listener, layered(router, DEFAULT_MAX_IN_FLIGHT), context.shutdown).await
}

/// The router inside the layers of [`serve`]. Whoever speaks another error format puts a layer of its own around this,
/// and so sees the problems of every layer.
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

/// Accepts until shutdown, then finishes what runs, within the grace period.
pub async fn listen(listener: TcpListener, router: Router, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = listener.tap_io(|stream: &mut TcpStream| {
        // Answers are written whole; to wait for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.token.clone().cancelled_owned());
    let overdue = async {
        shutdown.token.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server.into_future() => ended.context("serving HTTP"),
        () = overdue => {
            tracing::warn!("connections are cut that outlived the grace period");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
