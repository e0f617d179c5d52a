//! `ETag` and `If-Match` (RFC 9110): a version is its own strong entity tag.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
};
use makegood_chassis::problem::Problem;

/// `"3"`, with its quotes.
pub(super) fn of(version: i64) -> String {
    format!("\"{version}\"")
}

/// Sets the header on a response.
pub(super) fn insert(headers: &mut HeaderMap, version: i64) {
    // Digits in quotes are always a valid header value.
    if let Ok(value) = HeaderValue::from_str(&of(version)) {
        headers.insert(header::ETAG, value);
    }
}

/// The tags of the request's `If-Match`; an extractor that never refuses.
#[derive(Debug, Clone, Default)]
pub(super) struct IfMatch(Option<Vec<String>>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(tags(&parts.headers, header::IF_MATCH)))
    }
}

impl IfMatch {
    /// 412 unless the header is absent or names this version. Weak tags never match (RFC 9110, 13.1.1).
    pub(super) fn check(&self, version: i64) -> Result<(), Problem> {
        let tag = of(version);
        match &self.0 {
            Some(tags) if !tags.iter().any(|listed| *listed == tag || listed == "*") => {
                let detail = format!("The cart's version is {tag} by now. Read it again and decide anew.");
                Err(Problem::new(StatusCode::PRECONDITION_FAILED, "version-changed", "The version has changed", detail))
            }
            _ => Ok(()),
        }
    }
}

/// The listed tags, or none when the header is absent. What is no text matches nothing.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<String>> {
    let list = |value: &HeaderValue| {
        value.to_str().unwrap_or_default().split(',').map(|tag| tag.trim().to_owned()).collect::<Vec<_>>()
    };
    headers.contains_key(&name).then(|| headers.get_all(name).iter().flat_map(list).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(if_match: Option<&'static str>, version: i64) -> bool {
        let headers = if_match.map(|value| (header::IF_MATCH, HeaderValue::from_static(value))).into_iter().collect();
        IfMatch(tags(&headers, header::IF_MATCH)).check(version).is_ok()
    }

    #[test]
    fn only_the_current_version_any_or_no_header_lets_an_edit_through() {
        for if_match in [None, Some("\"3\""), Some("*"), Some("\"2\", \"3\"")] {
            assert!(allows(if_match, 3), "{if_match:?}");
        }
        for if_match in [Some("\"2\""), Some("3"), Some("W/\"3\""), Some("")] {
            assert!(!allows(if_match, 3), "{if_match:?}");
        }
    }
}
