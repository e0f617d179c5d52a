//! Whether more can be told without pushing out of the stream what one of our services has yet to read.
//!
//! A full stream lets go of its oldest events (decision 0027), and an event has no row that waits for an answer: what its consumer has not
//! read is lost to it, without a word. So the relay holds back what would push it out. The log keeps it, and it is told later.

use std::collections::HashMap;

use anyhow::Context as _;
use async_nats::jetstream::{
    consumer::Info as ConsumerInfo,
    stream::{DirectGetErrorKind, Info as StreamInfo, State, Stream},
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
    let mut hindmost: Option<(u64, String)> = None;
    for one in consumers.into_iter().filter(is_ours) {
        let is_behind = one.num_pending > 0 || one.num_ack_pending > 0;
        let up_to = one.ack_floor.stream_sequence;
        if !is_behind || !is_too_much(unread_bytes(&info.state, up_to), bound) {
            continue;
        }
        // Who reads but a few of the events has acked nothing for long, and may be behind by the last of them only.
        let up_to = read_up_to(stream, &one).await;
        if is_too_much(unread_bytes(&info.state, up_to), bound)
            && hindmost.as_ref().is_none_or(|(least, _)| up_to < *least)
        {
            hindmost = Some((up_to, one.name));
        }
    }
    Ok(hindmost.map(|(_, name)| name))
}

/// The place before the first message that a consumer has yet to read.
async fn read_up_to(stream: &Stream<StreamInfo>, consumer: &ConsumerInfo) -> u64 {
    let acked = consumer.ack_floor.stream_sequence;
    let only = Some(&consumer.config.filter_subject).filter(|filter| !filter.is_empty());
    let filters: Vec<&String> = consumer.config.filter_subjects.iter().chain(only).collect();
    if filters.is_empty() {
        return acked;
    }
    let mut first_unread = u64::MAX;
    for filter in filters {
        match stream.direct_get_next_for_subject(filter.as_str(), Some(acked + 1)).await {
            Ok(message) => first_unread = first_unread.min(message.sequence),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(consumer = consumer.name, %error, "where it goes on reading is not known; all that it has not acked counts");
                return acked;
            }
        }
    }
    first_unread - 1
}

fn is_too_much(bytes: u128, bound: u64) -> bool {
    bytes * 100 >= u128::from(bound) * UNREAD_PERCENT
}

/// Of the bytes that the stream holds, those behind a place, as if all messages were of one size.
fn unread_bytes(state: &State, read_up_to: u64) -> u128 {
    let unread = state.last_sequence.saturating_sub(read_up_to).min(state.messages);
    u128::from(state.bytes) * u128::from(unread) / u128::from(state.messages.max(1))
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::{
        self,
        consumer::{PullConsumer, pull},
        stream::Config,
    };
    use futures::StreamExt as _;
    use makegood_testing::nats_client;
    use uuid::Uuid;

    use super::*;

    const BOUND: i64 = 100_000;

    /// Real JetStream: what it says of consumers with filters is not ours to make up.
    #[tokio::test]
    async fn only_who_would_lose_something_leaves_no_room() {
        let jetstream = jetstream::new(nats_client().await);
        let name = format!("ROOM_{}", Uuid::now_v7().simple());
        let config = Config {
            name: name.clone(),
            subjects: vec![format!("{name}.>")],
            max_bytes: BOUND,
            allow_direct: true,
            ..Config::default()
        };
        let stream = jetstream.create_stream(config).await.expect("a stream");
        let consumer = async |kind: &str, metadata: HashMap<String, String>| {
            let config = pull::Config {
                durable_name: Some(kind.to_owned()),
                filter_subjects: vec![format!("{name}.{kind}")],
                metadata,
                ..pull::Config::default()
            };
            let consumer: PullConsumer = stream.create_consumer(config).await.expect("a consumer");
            consumer
        };
        let say = async |kind: &str, times: usize| {
            for _ in 0..times {
                let subject = format!("{name}.{kind}");
                jetstream.publish(subject, vec![b'x'; 1_000].into()).await.expect("sends").await.expect("is stored");
            }
        };
        let read = async |consumer: &PullConsumer, messages: usize| {
            let mut batch = consumer.fetch().max_messages(messages).messages().await.expect("fetches");
            while let Some(message) = batch.next().await {
                message.expect("a message").double_ack().await.expect("acks");
            }
        };
        let hindmost = async || hindmost(&jetstream.get_stream(&name).await.expect("a stream")).await.expect("is told");
        let (rare, often) = (consumer("rare", mark()).await, consumer("often", mark()).await);
        consumer("strange", HashMap::new()).await;
        say("strange", 1).await;
        say("rare", 1).await;
        read(&rare, 1).await;
        say("often", 85).await;
        assert_eq!(hindmost().await, Some("often".to_owned()));
        read(&often, 84).await;
        say("rare", 1).await;
        assert_eq!(hindmost().await, None, "one has acked nothing for long, and both are behind by one");
        jetstream.delete_stream(&name).await.expect("deletes");
    }

    #[test]
    fn what_was_read_leaves_room_and_what_waits_behind_does_not() {
        let state: State = serde_json::from_value(serde_json::json!({
            "messages": 1_000, "bytes": 2_000, "first_seq": 501, "first_ts": "2026-11-24T12:00:00Z", "last_seq": 1_500,
            "last_ts": "2026-11-24T13:00:00Z", "consumer_count": 1,
        }))
        .expect("as the server tells it");
        for (read_up_to, unread) in [(1_500, 0), (u64::MAX, 0), (1_000, 1_000), (0, 2_000)] {
            assert_eq!(unread_bytes(&state, read_up_to), unread, "{read_up_to}");
        }
        assert!(is_too_much(1_500, 2_000) && !is_too_much(1_499, 2_000));
    }
}
