//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110): the version of an object is its own strong entity tag.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};

use crate::problem::Problem;

/// `"3"`, with its quotes.
pub fn of(version: i64) -> String {
    format!("\"{version}\"")
}

/// Sets the header on a response.
pub fn insert(headers: &mut HeaderMap, version: i64) {
    // Digits in quotes are always a valid header value.
    if let Ok(value) = HeaderValue::from_str(&of(version)) {
        headers.insert(header::ETAG, value);
    }
}

/// The request's conditions; an extractor that never refuses. What is no text matches nothing.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    if_match: Option<Vec<String>>,
    if_none_match: Option<Vec<String>>,
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

impl Conditions {
    fn of(headers: &HeaderMap) -> Self {
        Self { if_match: tags(headers, header::IF_MATCH), if_none_match: tags(headers, header::IF_NONE_MATCH) }
    }

    /// Whether `If-Match` is absent or names this version; none is that of what does not exist. Weak tags never match
    /// (RFC 9110, 13.1.1).
    pub fn allow_change_of(&self, version: Option<i64>) -> bool {
        let matches = |listed: &String| version.is_some_and(|version| listed == "*" || *listed == of(version));
        self.if_match.as_ref().is_none_or(|tags| tags.iter().any(matches))
    }

    /// Whether `If-None-Match` names this version, by the weak comparison that reading asks for.
    pub fn know(&self, version: i64) -> bool {
        let matches = |listed: &String| listed == "*" || listed.trim_start_matches("W/") == of(version);
        self.if_none_match.as_ref().is_some_and(|tags| tags.iter().any(matches))
    }
}

/// 412: the version that the caller decided on is not the current one of this kind of object, or there is none.
pub fn version_changed(what: &str, version: Option<i64>) -> Problem {
    let now = version.map_or_else(
        || format!("The {what} does not exist."),
        |version| format!("The {what}'s version is {} by now.", of(version)),
    );
    let detail = format!("{now} Read it again and decide anew.");
    Problem::new(StatusCode::PRECONDITION_FAILED, "version-changed", "The version has changed", detail)
}

/// The listed tags, or none when the header is absent.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<String>> {
    let list = |value: &HeaderValue| {
        value.to_str().unwrap_or_default().split(',').map(|tag| tag.trim().to_owned()).collect::<Vec<_>>()
    };
    headers.contains_key(&name).then(|| headers.get_all(name).iter().flat_map(list).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(name: HeaderName, value: &'static str) -> Conditions {
        Conditions::of(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_change_is_allowed_for_the_version_that_the_caller_saw() {
        assert!(Conditions::default().allow_change_of(None));
        assert!(Conditions::default().allow_change_of(Some(3)));
        for (if_match, version, allowed) in [
            ("\"3\"", Some(3), true),
            ("\"2\", \"3\"", Some(3), true),
            ("*", Some(3), true),
            ("*", None, false),
            ("\"3\"", None, false),
            ("\"2\"", Some(3), false),
            ("3", Some(3), false),
            ("W/\"3\"", Some(3), false),
            ("", Some(3), false),
        ] {
            assert_eq!(
                conditions(header::IF_MATCH, if_match).allow_change_of(version),
                allowed,
                "{if_match} {version:?}"
            );
        }
    }

    #[test]
    fn a_version_that_the_caller_knows_is_not_sent_again() {
        assert!(!Conditions::default().know(3));
        for (if_none_match, known) in
            [("\"3\"", true), ("W/\"3\"", true), ("*", true), ("\"2\", \"3\"", true), ("\"2\"", false)]
        {
            assert_eq!(conditions(header::IF_NONE_MATCH, if_none_match).know(3), known, "{if_none_match}");
        }
    }
}
