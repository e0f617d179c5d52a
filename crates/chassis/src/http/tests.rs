//! The layers, from outside: every refusal is a problem document with the request's id.

use std::time::Duration;

use axum::{
    body::Body,
    routing::{get, post},
};
use http::{Request, header};
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::extract::Json;

/// Beyond what a test's requests take, short of a test's patience.
const TEST_TIMEOUT: Duration = Duration::from_millis(200);

fn router(max_in_flight: usize) -> Router {
    let routes = Router::new()
        .route("/thing", get(async || "here"))
        .route("/traced", get(async |TraceParent(text): TraceParent| text))
        .route("/panic", get(async || -> &'static str { panic!("a defect") }))
        .route("/slow", get(async || tokio::time::sleep(Duration::from_secs(3600)).await))
        .route("/json", post(async |Json(value): Json<Value>| value.to_string()));
    within(routes, gate::Gate::new(max_in_flight, TEST_TIMEOUT))
}

async fn ask(router: Router, request: Request<Body>) -> (http::response::Parts, String) {
    let (parts, body) = router.oneshot(request).await.expect("infallible").into_parts();
    let bytes = axum::body::to_bytes(body, 65536).await.expect("a small body");
    (parts, String::from_utf8_lossy(&bytes).into_owned())
}

fn a_get(path: &str) -> Request<Body> {
    Request::get(path).header("x-request-id", "req-1").body(Body::empty()).expect("a request")
}

async fn refused(request: Request<Body>, status: u16) -> (http::response::Parts, Value) {
    let (parts, body) = ask(router(8), request).await;
    assert_eq!(
        (parts.status.as_u16(), parts.headers[header::CONTENT_TYPE].as_bytes()),
        (status, &b"application/problem+json"[..]),
        "{body}"
    );
    let document: Value = serde_json::from_str(&body).expect("a document");
    assert_eq!(
        (&document["instance"], &parts.headers["x-request-id"]),
        (&Value::from("req-1"), &http::HeaderValue::from_static("req-1"))
    );
    (parts, document)
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_panics_are_problems() {
    refused(a_get("/nothing"), 404).await;
    let (parts, _) = refused(a_get("/json"), 405).await;
    assert_eq!(parts.headers[header::ALLOW], "POST");
    let (_, document) = refused(a_get("/panic"), 500).await;
    assert!(!document.to_string().contains("a defect"));
}

#[tokio::test]
async fn bodies_are_refused_by_type_form_and_size() {
    let send = |content_type: &str, body: Vec<u8>| {
        Request::post("/json")
            .header("x-request-id", "req-1")
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .expect("a request")
    };
    refused(send("text/plain", b"{}".to_vec()), 415).await;
    refused(send("application/json", b"{".to_vec()), 400).await;
    refused(send("application/json", vec![b' '; MAX_BODY_BYTES + 1]), 413).await;
    let (parts, _) = ask(router(8), send("application/json; charset=utf-8", b"{}".to_vec())).await;
    assert_eq!(parts.status, StatusCode::OK);
}

#[tokio::test]
async fn beyond_the_limit_requests_are_shed_and_stuck_ones_end() {
    let router = router(1);
    let slow = tokio::spawn(ask(router.clone(), a_get("/slow")));
    tokio::task::yield_now().await;
    let (parts, _) = ask(router.clone(), a_get("/thing")).await;
    assert_eq!(
        (parts.status, &parts.headers[header::RETRY_AFTER]),
        (StatusCode::TOO_MANY_REQUESTS, &http::HeaderValue::from_static("1"))
    );
    assert_eq!(slow.await.expect("no panic").0.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(router, a_get("/thing")).await.0.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_gets_an_id_and_a_trace_and_keeps_its_own() {
    let (parts, text) = ask(router(8), Request::get("/traced").body(Body::empty()).expect("a request")).await;
    assert_eq!((parts.headers["x-request-id"].len(), text.len()), (32, 55));
    let own = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = Request::get("/traced").header("traceparent", own).body(Body::empty()).expect("a request");
    assert_eq!(ask(router(8), request).await.1, own);
    let encoded = crate::telemetry::metrics().encode().expect("encodes");
    assert!(
        encoded.contains(r#"makegood_http_request_seconds_count{method="GET",path="/traced",status="200"}"#),
        "{encoded}"
    );
}
