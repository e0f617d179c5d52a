//! A collector of traces, as an operator would run one: takes OTLP over HTTP and keeps what it was sent.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, body::Bytes, extract::State, routing::post};
use tokio::{net::TcpListener, task::JoinHandle};

/// A span's trace id stands at its beginning and its name soon after: ids, flags and the state of the trace are between.
const NAME_WITHIN: usize = 96;

type Bodies = Arc<Mutex<Vec<Bytes>>>;

pub struct Collector {
    url: String,
    bodies: Bodies,
    serving: JoinHandle<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let bodies = Bodies::default();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&bodies));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.expect("the collector serves") });
        Self { url, bodies, serving }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a span of this name has come, in the trace of this `traceparent`.
    pub fn has_span(&self, traceparent: &str, name: &str) -> bool {
        let trace_id = traceparent.split('-').nth(1).expect("a traceparent");
        let trace_id = u128::from_str_radix(trace_id, 16).expect("a trace id").to_be_bytes();
        self.any(|body| {
            body.windows(trace_id.len())
                .enumerate()
                .filter(|(_, window)| *window == trace_id)
                .any(|(at, _)| contains(&body[at..body.len().min(at + NAME_WITHIN)], name.as_bytes()))
        })
    }

    /// Whether this text was sent anywhere.
    pub fn mentions(&self, text: &str) -> bool {
        self.any(|body| contains(body, text.as_bytes()))
    }

    fn any(&self, holds: impl Fn(&[u8]) -> bool) -> bool {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|body| holds(body))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(bodies): State<Bodies>, body: Bytes) {
    bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}
