//! W3C trace context: taken over from the caller or begun here, and handed on to the saga that a request starts.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use uuid::Uuid;

/// A `traceparent`, well-formed; an extractor for handlers that hand it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(pub String);

impl<S: Send + Sync> FromRequestParts<S> for TraceParent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().or_else(|| read(&parts.headers)).unwrap_or_else(make))
    }
}

/// The caller's, if it has the form of version 00.
pub(super) fn read(headers: &HeaderMap) -> Option<TraceParent> {
    let received = headers.get("traceparent")?.to_str().ok()?;
    is_well_formed(received).then(|| TraceParent(received.to_owned()))
}

/// A new one, for where no collector makes one: not sampled. A UUIDv7 as the trace's id is random enough, and sorts traces by time; its random half is the span's.
pub(super) fn make() -> TraceParent {
    let trace_id = Uuid::now_v7().simple().to_string();
    TraceParent(format!("00-{trace_id}-{}-00", &trace_id[16..]))
}

fn is_well_formed(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    matches!(parts[..], ["00", trace, span, flags] if is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_well_formed_and_damaged_ones_are_not_taken_over() {
        assert!(is_well_formed(&make().0));
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers =
            HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), good.parse().expect("a header"))]);
        assert_eq!(read(&headers), Some(TraceParent(good.to_owned())));
        assert_eq!(read(&HeaderMap::new()), None);
        for text in [
            "",
            "00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            &good.to_uppercase(),
        ] {
            assert!(!is_well_formed(text), "{text}");
        }
    }
}
