//! One step of a saga as a span. Steps are handled in batches, so a span is written when its batch is over, with the times of
//! the batch, into the trace of the request that its saga came from.

use std::{sync::OnceLock, time::Duration};

use makegood_contracts::command::StepKey;
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;

use super::span_context;
use crate::http::TraceParent;

/// Set where traces are collected.
pub(super) static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// What a participant did for one command.
#[derive(Debug, Clone, Copy)]
pub struct StepSpan<'a> {
    /// `inventory.hold_stock`: the span's name.
    pub command: &'a str,
    pub key: &'a StepKey,
    pub attempt: u32,
    /// `done`, `refused`, `pending`, `retry` or `defect`.
    pub outcome: &'static str,
}

impl StepSpan<'_> {
    /// Writes the span, which took so long and ends now. Nothing without a collector, or where the request was not to be traced.
    pub fn record(&self, traceparent: &str, took: Duration, failure: Option<&str>) {
        if let Some(tracer) = TRACER.get() {
            self.record_with(tracer, traceparent, took, failure);
        }
    }

    fn record_with(&self, tracer: &SdkTracer, traceparent: &str, took: Duration, failure: Option<&str>) {
        let Some(remote) = span_context(&TraceParent(traceparent.to_owned())) else { return };
        let parent = Context::new().with_remote_span_context(remote);
        let mut attributes = vec![
            KeyValue::new("makegood.saga_id", self.key.saga_id.to_string()),
            KeyValue::new("makegood.step", self.key.step.clone()),
            KeyValue::new("makegood.direction", self.key.direction.as_str()),
            KeyValue::new("makegood.attempt", i64::from(self.attempt)),
            KeyValue::new("makegood.outcome", self.outcome),
        ];
        // By the clock of this machine, as every span has it.
        let began_at = opentelemetry::time::now() - took;
        attributes.extend(failure.map(|code| KeyValue::new("error.type", code.to_owned())));
        let mut span = tracer
            .span_builder(self.command.to_owned())
            .with_kind(SpanKind::Consumer)
            .with_start_time(began_at)
            .with_attributes(attributes)
            .start_with_context(tracer, &parent);
        if self.outcome == "defect" {
            span.set_status(Status::error("defect"));
        }
        span.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use makegood_contracts::command::Direction;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SdkTracerProvider, SpanData, SpanExporter},
    };
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().expect("no export has panicked").extend(spans);
            Ok(())
        }
    }

    fn recorded(traceparent: &str, outcome: &'static str, failure: Option<&str>) -> Vec<SpanData> {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let key = StepKey { saga_id: Uuid::nil(), step: "hold_stock".to_owned(), direction: Direction::Do };
        let span = StepSpan { command: "inventory.hold_stock", key: &key, attempt: 2, outcome };
        span.record_with(&provider.tracer("test"), traceparent, Duration::from_millis(5), failure);
        kept.0.lock().expect("no export has panicked").clone()
    }

    #[test]
    fn a_step_is_a_child_of_the_request_and_as_long_as_its_batch() {
        let spans =
            recorded("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "refused", Some("out_of_stock"));
        let [span] = &spans[..] else { panic!("one span: {spans:?}") };
        assert_eq!(span.name, "inventory.hold_stock");
        assert_eq!(span.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
        assert!(span.end_time.duration_since(span.start_time).expect("in order") >= Duration::from_millis(5));
        let told =
            |name: &str| span.attributes.iter().find(|kv| kv.key.as_str() == name).map(|kv| kv.value.to_string());
        assert_eq!(told("makegood.attempt").as_deref(), Some("2"));
        assert_eq!(told("error.type").as_deref(), Some("out_of_stock"));
        assert_eq!(span.status, Status::Unset, "a refusal is an answer and no error");
    }

    #[test]
    fn a_defect_is_an_error_and_what_is_not_traced_is_not_written() {
        let spans = recorded("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "defect", Some("defect"));
        assert_eq!(spans.iter().map(|span| span.status.clone()).collect::<Vec<_>>(), [Status::error("defect")]);
        let unsampled = recorded("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "done", None);
        assert!(unsampled.is_empty(), "the caller has said that it is not traced");
        assert!(recorded("no trace", "done", None).is_empty());
    }
}
