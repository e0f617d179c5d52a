//! `/livez`, `/healthz`, `/readyz` and `/metrics`, on a port of their own.
//!
//! Liveness is about this process only: were it to ask PostgreSQL or NATS, an outage of theirs would restart everything
//! at once. Readiness reads what background checks have found; a probe never causes a query.

mod health;

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use serde_json::json;
use tokio::net::TcpListener;

pub use health::{Beat, Check, Health};

use crate::{problem::Problem, shutdown::Shutdown, telemetry::metrics};

/// Serves until the process ends: while it drains, the platform still wants to know. A caller that falls silent in the middle of a
/// request's head is cut off, as at the public port.
pub async fn serve(listener: TcpListener, health: Health) {
    crate::http::listen(listener, router(health), Shutdown::default()).await;
}

fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(expose_metrics))
        .with_state(health)
}

async fn livez(State(health): State<Health>) -> Response {
    let stuck = health.stuck_loops();
    let status = if stuck.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "alive": stuck.is_empty(), "stuck": stuck }))).into_response()
}

async fn readyz(State(health): State<Health>) -> Response {
    let (ready, draining, checks) = (health.is_ready(), health.is_draining(), health.checks());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "draining": draining, "checks": checks }))).into_response()
}

async fn expose_metrics() -> Result<impl IntoResponse, Problem> {
    let text = metrics().encode().context("encoding metrics")?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;
    use crate::shutdown::Shutdown;

    async fn status(health: &Health, path: &str) -> u16 {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        router(health.clone()).oneshot(request).await.expect("infallible").status().as_u16()
    }

    #[tokio::test]
    async fn a_process_is_ready_when_all_checks_are_and_until_it_drains() {
        let (health, shutdown) = (Health::default(), Shutdown::default());
        health.drain_with(shutdown.clone());
        let (database, bus) = (health.check("database"), health.check_once("bus"));
        assert_eq!(status(&health, "/readyz").await, 503);
        database.set(true);
        assert_eq!(status(&health, "/readyz").await, 503, "the bus was never there");
        bus.set(true);
        assert_eq!(status(&health, "/readyz").await, 200);
        bus.set(false);
        assert_eq!(status(&health, "/readyz").await, 200, "the bus was there, and comes back");
        database.set(false);
        assert_eq!(status(&health, "/readyz").await, 503);
        database.set(true);
        shutdown.begin();
        assert_eq!((status(&health, "/readyz").await, status(&health, "/livez").await), (503, 200));
    }

    #[tokio::test]
    async fn metrics_are_told_as_text() {
        assert_eq!(status(&Health::default(), "/metrics").await, 200);
    }
}
