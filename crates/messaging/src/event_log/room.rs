//! Whether more can be told without pushing out of the stream what one of our services has yet to read.
//!
//! A full stream lets go of its oldest events (decision 0027), and an event has no row that waits for an answer: what its consumer has not
//! read is lost to it, without a word. So the relay holds back what would push it out. The log keeps it, and it is told later.

use std::collections::HashMap;

use anyhow::Context as _;
use async_nats::jetstream::{
    consumer::Info as ConsumerInfo,
    stream::{Info as StreamInfo, State, Stream},
};
use futures::TryStreamExt as _;

/// Says of a consumer that it is one of Makegood's services. Others, which somebody may have made and forgotten, hold back nothing.
const MARK: (&str, &str) = ("makegood", "service");
/// How much of its bound may be unread. What is left takes in what all services tell until they look again: five seconds.
const UNREAD_PERCENT: u128 = 75;

/// What marks a service's consumer.
pub(crate) fn mark() -> HashMap<String, String> {
    HashMap::from([(MARK.0.to_owned(), MARK.1.to_owned())])
}

/// The service's consumer that is so far behind that it would lose events if more were told; none where there is room.
pub(super) async fn hindmost(stream: &Stream<StreamInfo>) -> anyhow::Result<Option<String>> {
    let info = stream.cached_info();
    // Without a bound nothing is let go.
    let Some(bound) = u64::try_from(info.config.max_bytes).ok().filter(|bound| *bound > 0) else { return Ok(None) };
    if !is_too_much(info.state.bytes.into(), bound) {
        return Ok(None);
    }
    let consumers: Vec<ConsumerInfo> =
        stream.consumers().try_collect().await.context("looking at the stream's consumers")?;
    let is_ours = |one: &ConsumerInfo| one.config.metadata.get(MARK.0).is_some_and(|value| value == MARK.1);
    let hindmost = consumers
        .into_iter()
        .filter(|one| is_ours(one) && is_too_much(unread_bytes(&info.state, Read::of(one)), bound))
        .min_by_key(|one| one.ack_floor.stream_sequence);
    Ok(hindmost.map(|one| one.name))
}

fn is_too_much(bytes: u128, bound: u64) -> bool {
    bytes * 100 >= u128::from(bound) * UNREAD_PERCENT
}

/// How far a consumer has come.
struct Read {
    up_to: u64,
    /// Whether something that it wants is left.
    is_behind: bool,
}

impl Read {
    fn of(consumer: &ConsumerInfo) -> Self {
        Self {
            up_to: consumer.ack_floor.stream_sequence,
            is_behind: consumer.num_pending > 0 || consumer.num_ack_pending > 0,
        }
    }
}

/// Of the bytes that the stream holds, those behind what was read last, as if all messages were of one size.
fn unread_bytes(state: &State, read: Read) -> u128 {
    if !read.is_behind || state.messages == 0 {
        return 0;
    }
    let unread = state.last_sequence.saturating_sub(read.up_to).min(state.messages);
    u128::from(state.bytes) * u128::from(unread) / u128::from(state.messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_leaves_room_and_what_waits_behind_does_not() {
        let state: State = serde_json::from_value(serde_json::json!({
            "messages": 1_000, "bytes": 2_000, "first_seq": 501, "first_ts": "2026-11-24T12:00:00Z", "last_seq": 1_500,
            "last_ts": "2026-11-24T13:00:00Z", "consumer_count": 1,
        }))
        .expect("as the server tells it");
        let unread = |up_to, is_behind| unread_bytes(&state, Read { up_to, is_behind });
        assert_eq!(unread(1_500, false), 0);
        assert_eq!(unread(600, false), 0, "what it has not read is not for it");
        assert_eq!(unread(1_000, true), 1_000);
        assert_eq!(unread(0, true), 2_000, "no more than there is");
        assert!(is_too_much(1_500, 2_000) && !is_too_much(1_499, 2_000));
    }
}
