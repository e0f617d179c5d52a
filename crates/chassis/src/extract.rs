//! Reading requests: axum's extractors with our problems instead of plain-text rejections.
//!
//! All refuse with problem+json: 400 malformed JSON, 413 too large, 415 wrong content type,
//! 422 wrong types or unknown fields (types derive `deny_unknown_fields`), each naming the place.

pub mod body;
mod known_fields;
mod wording;

use std::{convert::Infallible, time::Duration};

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::{HeaderMap, StatusCode, request::Parts};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// JSON body (for PUT/DELETE/PATCH; POST handlers use [`crate::idempotency::Post`]).
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(body).await?;
        body::require_json(&parts.headers)?;
        body::parse(&bytes).map(Self)
    }
}

/// Path parameters.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // PostgreSQL stores no NUL in texts, so nothing can be found under one.
        if parts.uri.path().contains("%00") {
            return Err(not_here("The path contains a NUL character.".to_owned()));
        }
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|rejection| {
            if rejection.status().is_server_error() {
                return anyhow::Error::from(rejection).context("reading path parameters").into();
            }
            not_here(rejection.body_text())
        })
    }
}

fn not_here(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
}

/// Query parameters; unknown ones are refused.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let refuse = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "invalid-query", "Invalid query", detail);
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(refuse("The query contains a NUL character.".to_owned()));
        }
        if let Some(known) = known_fields::of::<T>() {
            let given = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
            let given = given.map_err(|rejection| refuse(rejection.body_text()))?;
            if let Some((unknown, _)) = given.iter().find(|(name, _)| !known.contains(&name.as_str())) {
                return Err(refuse(format!(
                    "There is no parameter `{unknown}` here. Known ones: {}.",
                    known.join(", ")
                )));
            }
        }
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection| refuse(rejection.body_text()))
    }
}

/// `Prefer: wait=N` (RFC 7240), capped at 30 s; zero when absent.
#[derive(Debug, Clone, Copy)]
pub struct PreferWait(pub Duration);

impl PreferWait {
    /// Proxies in front commonly give up after 60 s; half of that is safe.
    const MAX_SECONDS: u64 = 30;

    /// A preference that cannot be read is ignored, as the RFC wants it.
    fn read(headers: &HeaderMap) -> Self {
        let preferences =
            headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let wait = preferences.filter_map(|preference| preference.trim().split_once('='));
        let seconds = wait
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
            .find_map(|(_, value)| value.trim().parse().ok());
        Self(Duration::from_secs(seconds.unwrap_or(0).min(Self::MAX_SECONDS)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PreferWait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, response::IntoResponse, routing::get};
    use makegood_contracts::id::OrderId;
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Filter {
        status: Option<String>,
    }

    async fn detail_of(uri: &str) -> (u16, String) {
        let router = Router::new().route("/orders/{id}", get(async |Path(id): Path<OrderId>| id.to_string())).route(
            "/orders",
            get(async |Query(filter): Query<Filter>| filter.status.unwrap_or_default().into_response()),
        );
        let request = Request::builder().uri(uri).body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 4096).await.expect("a small body");
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn an_id_of_another_kind_is_not_found_and_the_right_form_is_told() {
        assert_eq!(detail_of("/orders/ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f").await.0, 200);
        let (status, told) = detail_of("/orders/crt_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f").await;
        assert!(status == 404 && told.contains("the prefix `ord_`"), "{told}");
        assert_eq!(detail_of("/orders/ord_%00").await.0, 404);
    }

    #[tokio::test]
    async fn unknown_and_repeated_query_parameters_are_refused() {
        assert_eq!(detail_of("/orders?status=paid").await, (200, "paid".to_owned()));
        for uri in ["/orders?state=paid", "/orders?status=a&status=b", "/orders?status=%00"] {
            assert_eq!(detail_of(uri).await.0, 400, "{uri}");
        }
    }

    #[test]
    fn a_wait_is_capped_and_nonsense_is_ignored() {
        for (prefer, seconds) in [
            ("wait=10", 10),
            ("respond-async, wait=5", 5),
            ("WAIT = 7", 7),
            ("wait=3600", 30),
            ("wait=-1", 0),
            ("wait", 0),
        ] {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static("prefer"), prefer.parse().expect("a header"))]);
            assert_eq!(PreferWait::read(&headers).0, Duration::from_secs(seconds), "{prefer}");
        }
    }
}
