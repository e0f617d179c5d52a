//! How many requests, how fast, and how they ended: one histogram, whose count is the number of requests.

use std::{sync::LazyLock, time::Duration};

use http::{Method, StatusCode};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, histogram::Histogram},
};

use crate::telemetry::metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    /// The route's pattern, never the path itself: there are as many paths as there are orders.
    path: String,
    status: u16,
}

type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// From a look-up in memory (0.5 ms) to the longest wait (`Prefer: wait=30` and its work).
const BUCKETS_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

static REQUESTS: LazyLock<Histograms> = LazyLock::new(|| {
    let histograms = Histograms::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS));
    metrics().register(
        "makegood_http_request_seconds",
        "Requests by route, method and status, and how long they took",
        histograms.clone(),
    );
    histograms
});

pub(super) fn observe(method: &Method, path: Option<&str>, status: StatusCode, took: Duration) {
    let labels = Labels { method: known(method), path: path.unwrap_or("none").to_owned(), status: status.as_u16() };
    REQUESTS.get_or_create(&labels).observe(took.as_secs_f64());
}

/// Callers may send any word as a method; metrics count the known ones only.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
