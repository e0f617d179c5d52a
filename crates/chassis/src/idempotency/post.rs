//! Reading a POST: who calls, under which key, and with what. Nothing is claimed before all of it is in order.

use axum::extract::{FromRef, FromRequest, FromRequestParts as _, Request};
use http::{HeaderMap, HeaderName, StatusCode, request::Parts};
use serde::de::DeserializeOwned;

use super::{Claim, canonical::canonical};
use crate::{auth::Caller, extract::body, http::HttpContext, problem::Problem, secret::Secret};

const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest key in characters, as other payment APIs have it.
const MAX_KEY_LENGTH: usize = 255;

/// Extractor for every POST: caller, optional claim and the parsed body. Use `post.required_claim()?` where the key is required.
#[derive(Debug)]
pub struct Post<T> {
    pub caller: Caller,
    pub claim: Option<Claim>,
    pub body: T,
}

/// The body of a POST that says everything by its path: nothing, or `{}`.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoBody {}

impl<T> Post<T> {
    /// 400 `idempotency-key-required` when the request has no key.
    pub fn required_claim(&self) -> Result<&Claim, Problem> {
        self.claim.as_ref().ok_or_else(|| {
            let detail =
                "This call needs the header `Idempotency-Key`: 1 to 255 characters that you use for no other request.";
            Problem::new(StatusCode::BAD_REQUEST, "idempotency-key-required", "Idempotency key required", detail)
        })
    }
}

impl<S, T> FromRequest<S> for Post<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    HttpContext: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let key = key_of(&parts.headers)?;
        let bytes = body::read(body).await?;
        let parsed = read_body(&parts.headers, &bytes)?;
        let claim =
            key.map(|key| claim_of(&HttpContext::from_ref(state).secret, &caller, &key, &parts, &bytes)).transpose()?;
        Ok(Self { caller, claim, body: parsed })
    }
}

/// An empty body counts as `{}` where the type needs no field; it then needs no content type.
fn read_body<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty()
        && let Ok(parsed) = serde_json::from_slice(b"{}")
    {
        return Ok(parsed);
    }
    body::require_json(headers)?;
    body::parse(bytes)
}

fn claim_of(secret: &Secret, caller: &Caller, key: &str, parts: &Parts, bytes: &[u8]) -> Result<Claim, Problem> {
    let canonical = canonical(bytes).map_err(anyhow::Error::from)?;
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    Ok(Claim::new(secret, caller.account, key, &[parts.method.as_str().as_bytes(), path.as_bytes(), &canonical]))
}

/// The request's key, without the quotes that RFC 8941 puts around it; none when the header is absent.
pub fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let refuse = || {
        let detail = "Send one `Idempotency-Key` of 1 to 255 visible ASCII characters.";
        Problem::new(StatusCode::BAD_REQUEST, "idempotency-key-invalid", "Invalid idempotency key", detail)
    };
    let text = value.to_str().map_err(|_| refuse())?.trim();
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let usable = (1..=MAX_KEY_LENGTH).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    match usable && values.next().is_none() {
        true => Ok(Some(key.to_owned())),
        false => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_in(values: &[&str]) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY_HEADER, value.parse().expect("a header"));
        }
        key_of(&headers).map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn a_quoted_key_equals_the_bare_one() {
        assert_eq!(key_in(&["\"k-1\""]), Ok(Some("k-1".to_owned())));
        assert_eq!(key_in(&["k-1"]), key_in(&["\"k-1\""]));
        assert_eq!(key_in(&[]), Ok(None));
        assert_eq!(key_in(&[&"k".repeat(255)]), Ok(Some("k".repeat(255))));
    }

    #[test]
    fn an_unusable_key_is_refused() {
        for values in [&[""][..], &["\"\""], &["two words"], &[&"k".repeat(256)], &["a", "a"]] {
            assert_eq!(key_in(values), Err(400), "{values:?}");
        }
    }

    #[test]
    fn an_empty_body_is_the_empty_object_where_that_is_allowed() {
        #[derive(Debug, serde::Deserialize)]
        struct Needy {
            #[serde(rename = "field")]
            _field: u8,
        }
        assert!(read_body::<NoBody>(&HeaderMap::new(), b"").is_ok());
        assert_eq!(
            read_body::<Needy>(&HeaderMap::new(), b"").expect_err("a field").status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
        assert_eq!(
            read_body::<NoBody>(&HeaderMap::new(), b"{}").expect_err("no type").status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
    }
}
