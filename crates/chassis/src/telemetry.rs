//! Logs, traces (OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set) and the metric registry.
//!
//! Nothing secret is logged: types that hold secrets show nothing in their `Debug`, and bodies are never logged.

mod metrics;
mod step_span;

use std::env;

use anyhow::Context as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub use metrics::{Metrics, metrics};
pub use step_span::StepSpan;

use crate::{http::TraceParent, tls};

/// Target of the spans of requests: at debug level, so that without a trace collector they cost nothing.
pub const REQUEST_TARGET: &str = "makegood::request";

const DEFAULT_LOG_FILTER: &str = "info,sqlx=warn,async_nats=warn";

/// What is worth a span in a trace: every request, and what the roles mark at info level.
const TRACE_FILTER: &str =
    "info,makegood::request=debug,sqlx=warn,async_nats=warn,hyper=off,reqwest=off,opentelemetry=off";

/// Ends the exporting of traces; hold it as long as the process lives.
#[derive(Debug)]
#[must_use = "traces are exported until this is closed"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Sets up logs (`MAKEGOOD_LOG` filters, `MAKEGOOD_LOG_FORMAT=json` for machines) and traces. Once per process.
pub fn init(service: &str) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(env::var("MAKEGOOD_LOG").as_deref().unwrap_or(DEFAULT_LOG_FILTER))
        .context("reading MAKEGOOD_LOG")?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = match env::var("MAKEGOOD_LOG_FORMAT").as_deref() {
        Ok("json") => lines.json().flatten_event(true).boxed(),
        _ => lines.boxed(),
    };
    let provider = match env::var("OTEL_EXPORTER_OTLP_ENDPOINT") {
        Ok(endpoint) if !endpoint.is_empty() => Some(exporting_provider(service)?),
        _ => None,
    };
    let traces = provider.as_ref().map(|provider| {
        let tracer = provider.tracer("makegood");
        let layer = tracing_opentelemetry::layer().with_tracer(step_span::TRACER.get_or_init(|| tracer).clone());
        layer.with_filter(EnvFilter::new(TRACE_FILTER))
    });
    tracing_subscriber::registry()
        .with(logs.with_filter(filter))
        .with(traces)
        .try_init()
        .context("installing the log")?;
    Ok(Telemetry { provider })
}

/// The batch processor has a thread of its own, and so needs the blocking client.
fn exporting_provider(service: &str) -> anyhow::Result<SdkTracerProvider> {
    tls::install_provider();
    let exporter = SpanExporter::builder().with_http().build().context("setting up the export of traces")?;
    let resource = Resource::builder().with_service_name(service.to_owned()).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Telemetry {
    /// Sends what is left. On a blocking thread, because the exporter waits for its own.
    pub async fn close(self) {
        let Some(provider) = self.provider else {
            return;
        };
        match tokio::task::spawn_blocking(move || provider.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces were not exported"),
            Err(error) => tracing::warn!(%error, "closing the export of traces failed"),
        }
    }
}

/// Makes a span part of a received trace, or the beginning of one, and returns what is handed on: the span itself as parent.
/// None without a collector. Whether a trace that begins here is kept is for `OTEL_TRACES_SAMPLER` to say; a received one
/// is kept if its caller keeps it.
pub fn join_trace(span: &Span, received: Option<&TraceParent>) -> Option<TraceParent> {
    if span.is_disabled() {
        return None;
    }
    if let Some(received) = received {
        let remote = opentelemetry::Context::new().with_remote_span_context(span_context(received)?);
        span.set_parent(remote).ok()?;
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    own.is_valid()
        .then(|| TraceParent(format!("00-{}-{}-{:02x}", own.trace_id(), own.span_id(), own.trace_flags().to_u8())))
}

fn span_context(received: &TraceParent) -> Option<SpanContext> {
    let mut parts = received.0.split('-').skip(1);
    let trace_id = TraceId::from_hex(parts.next()?).ok()?;
    let span_id = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    Some(SpanContext::new(trace_id, span_id, TraceFlags::new(flags), true, TraceState::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_continues_the_received_trace_or_begins_one_and_hands_itself_on() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let received = TraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let handed_on = join_trace(&tracing::info_span!("http.request"), Some(&received)).expect("a trace");
            assert!(handed_on.0.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && handed_on.0.ends_with("-01"));
            assert_ne!(handed_on, received);
            let begun = join_trace(&tracing::info_span!("http.request"), None).expect("a trace");
            assert!(begun.0.ends_with("-01"), "a collector is there, so the trace is kept: {}", begun.0);
        });
        assert_eq!(join_trace(&Span::none(), Some(&received)), None);
    }
}
