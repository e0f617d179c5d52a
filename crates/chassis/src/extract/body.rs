//! A request's body: read within the limit, checked to be JSON, parsed with errors that name the place.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode, header};
use makegood_contracts::plain_text::escapes_nul;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::wording::{masked, worded};
use crate::{http::MAX_BODY_BYTES, problem::Problem};

/// A slow line sends the largest body within this; a caller who stalls holds a place that others wait for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the whole body, or refuses it with 413 as soon as it exceeds the limit, with 408 if it does not come.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    read_within(PATIENCE, body).await
}

async fn read_within(patience: Duration, body: Body) -> Result<Bytes, Problem> {
    tokio::time::timeout(patience, read_whole(body)).await.unwrap_or_else(|_| {
        let detail = format!("The body did not come within {} s. Nothing was done.", patience.as_secs());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "The request took too long", detail))
    })
}

async fn read_whole(body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    let mut first = Bytes::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| malformed(format!("The body could not be read: {error}.")))?;
        if first.len().max(whole.len()) + chunk.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        // Most bodies are one chunk, which is then used as it is.
        if first.is_empty() && whole.is_empty() {
            first = chunk;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&chunk);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

pub(crate) fn too_large() -> Problem {
    let detail = format!("The body is larger than {MAX_BODY_BYTES} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large", detail)
}

/// 415 unless the content type is `application/json`, with any parameters.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "Send the body as JSON, with `Content-Type: application/json`.";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type", detail))
}

/// Parses JSON. A NUL in any text is refused here, once for all fields: PostgreSQL cannot store it.
///
/// A list is no request, though serde would take one for an object's fields in their order.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::invalid("", "The body is a list; send an object with named fields."));
    }
    match serde_json::from_slice(bytes) {
        Ok(_) if escapes_nul(bytes) => {
            Err(Problem::invalid("", "A text contains the NUL character (\\u0000), which cannot be stored."))
        }
        Ok(value) => Ok(value),
        Err(error) => Err(explain::<T>(bytes, &error)),
    }
}

fn malformed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed-json", "Malformed JSON", detail)
}

fn explain<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let problem = match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => malformed(format!("The body is no JSON document: {error}.")),
        Category::Data => {
            let (pointer, detail) = place_of::<T>(bytes).unwrap_or_else(|| (String::new(), error.to_string()));
            Problem::invalid(&masked(&pointer), worded(&detail))
        }
    };
    problem.with("line", error.line()).with("column", error.column())
}

/// Parses once more with axum's reader, which keeps track of the path: only requests that fail pay for that.
fn place_of<T: DeserializeOwned>(bytes: &[u8]) -> Option<(String, String)> {
    let rejection = axum::Json::<T>::from_bytes(bytes).err()?;
    let told = std::error::Error::source(&rejection)?.to_string();
    let (path, detail) = told.split_once(": ")?;
    let is_path = !path.contains(' ');
    Some(if is_path { (pointer_of(path), detail.to_owned()) } else { (String::new(), told) })
}

/// `lines[1].sku` as the JSON pointer `/lines/1/sku`; the whole document (`.`) as the empty one.
fn pointer_of(path: &str) -> String {
    let names = path.split(['.', '[', ']']).filter(|name| !name.is_empty());
    names.map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_no_object() {
        #[derive(Debug, serde::Deserialize)]
        struct Tea {
            _sku: String,
        }
        assert!(parse::<Tea>(br#"{"_sku": "TEA"}"#).is_ok());
        let told = parse::<Tea>(br#" ["TEA"]"#).expect_err("a list");
        assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cart {
        #[serde(rename = "lines")]
        _lines: Vec<Line>,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[serde(rename = "quantity")]
        _quantity: u32,
        #[serde(rename = "note", default)]
        _note: String,
    }

    fn refusal(body: &str) -> (u16, String) {
        let problem = parse::<Cart>(body.as_bytes()).expect_err(body);
        (problem.status.as_u16(), problem.document()["pointer"].as_str().unwrap_or("none").to_owned())
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in [
            "",
            "{",
            "nonsense",
            r#"{"lines":[]} x"#,
            r#"{"lines":[NaN]}"#,
            "{\"lines\":[{\"quantity\":1,\"note\":\"\0\"}]}",
        ] {
            assert_eq!(refusal(body), (400, "none".to_owned()), "{body}");
        }
    }

    #[test]
    fn what_has_another_shape_is_invalid_and_the_place_is_named() {
        assert_eq!(refusal(r#"{"lines":[{"quantity":1},{"quantity":-1}]}"#), (422, "/lines/1/quantity".to_owned()));
        assert_eq!(refusal(r#"{"lines":[{"quantity":1,"price":0}]}"#), (422, "/lines/0/price".to_owned()));
        assert_eq!(refusal(r#"{"lines":[],"lines":[]}"#).0, 422);
        assert_eq!(refusal("[]").0, 422);
    }

    #[test]
    fn nul_is_refused_and_a_backslash_before_u0000_is_not() {
        assert_eq!(refusal(r#"{"lines":[{"quantity":1,"note":"a\u0000"}]}"#).0, 422);
        assert!(parse::<Cart>(br#"{"lines":[{"quantity":1,"note":"a\\u0000"}]}"#).is_ok());
    }

    #[test]
    fn a_card_number_in_the_wrong_place_is_not_repeated() {
        for body in [
            r#"{"lines":[],"4242424242424242":1}"#,
            r#"{"lines":[{"quantity":"4242 4242 4242 4242"}]}"#,
            r#"{"lines":4242424242424242}"#,
        ] {
            let document = parse::<Cart>(body.as_bytes()).expect_err(body).document().to_string();
            assert!(!document.contains("4242"), "{document}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let stalled = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let patience = Duration::from_millis(5);
        let problem = read_within(patience, stalled).await.expect_err("stalled");
        assert_eq!(problem.status, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_of_many_chunks_is_joined_and_a_huge_one_is_refused() {
        let chunks = |count: usize| {
            Body::from_stream(futures::stream::iter(
                (0..count).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024]))),
            ))
        };
        assert_eq!(read(chunks(3)).await.expect("small").len(), 3072);
        assert_eq!(read(chunks(1025)).await.expect_err("large").status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
