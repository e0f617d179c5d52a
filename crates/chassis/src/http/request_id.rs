//! The id by which one request is found in answers and logs: the caller's own, or one made here.
//!
//! It is kept in a task-local, so that a problem can name it without every function passing it on.

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A caller's id beyond this length is replaced: it goes into every log line of the request.
const MAX_LENGTH: usize = 128;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// The id of the request that this task works for; none outside of requests.
pub fn current() -> Option<String> {
    CURRENT.try_with(|id| id.to_str().unwrap_or_default().to_owned()).ok()
}

/// The caller's id if it is 1 to 128 visible ASCII characters, else a new one.
pub(super) fn read_or_make(headers: &HeaderMap) -> HeaderValue {
    let usable =
        |id: &&HeaderValue| (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    headers.get(HEADER).filter(usable).cloned().unwrap_or_else(make)
}

fn make() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = Uuid::now_v7().simple().encode_lower(&mut buffer);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

pub(super) async fn scope<F: Future>(id: HeaderValue, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// Carries the id over to a task of its own: `tokio::spawn(request_id::carry(work))`.
pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let id = CURRENT.try_with(Clone::clone).ok();
    async move {
        match id {
            Some(id) => CURRENT.scope(id, work).await,
            None => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usable_id_is_kept_and_any_other_is_replaced() {
        for (sent, kept) in
            [("abc-1", true), ("", false), ("two words", false), (&"x".repeat(129), false), (&"x".repeat(128), true)]
        {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(sent).expect("a header"))]);
            assert_eq!(read_or_make(&headers) == sent, kept, "{sent}");
        }
        assert_eq!(read_or_make(&HeaderMap::new()).len(), 32);
    }
}
