//! The streams: made where they are missing, and made anew where they store nothing any more.
//!
//! Whatever a stream loses is sent again by whoever holds the row behind it, so making one anew is always safe; leaving
//! a broken one alone is not: every order would wait behind it until somebody restarts the server.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use async_nats::jetstream::{
    self, ErrorCode,
    context::{GetStreamError, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType, Stream},
};
use makegood_contracts::subject;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

/// How long commands and replies are kept. Longer than any outage after which a re-sending would not come anyway.
const COMMAND_AGE: Duration = Duration::from_secs(60 * 60);
/// How long events are kept for consumers that were away; older ones are replayed from the log table.
const EVENT_AGE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Size bounds, so that nothing fills the disk. A stream keeps what is done too, and so is full most of the time where much is sold.
const COMMAND_BYTES: i64 = 1 << 30;
const EVENT_BYTES: i64 = 2 << 30;
/// A full stream lets go of its oldest messages. Nearly always they are done with; what is not comes again from its row. If it refused new
/// ones, a shop would stand still until the messages of its busy hour are an hour old (decision 0027).
const WHEN_FULL: DiscardPolicy = DiscardPolicy::Old;
/// A stream that was there and is gone may still be on its way out: the server forgets its name first, tells its consumers,
/// and moves its folder away last. One made in between loses its folder to that and never stores anything
/// (nats-server 2.15, `stream.stop` and `fileStore.Delete`).
const GONE_FOR_GOOD: Duration = Duration::from_secs(1);
/// A stream of which nothing was acked and in which nothing was stored for so long is broken. Four publishes time out in
/// it; a step gives up after a minute of attempts at the earliest.
const BROKEN_AFTER: Duration = Duration::from_secs(15);

/// What this process has seen of the streams; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams {
    seen: Arc<Mutex<Seen>>,
    /// One at a time: who comes second finds what the first has made.
    declaring: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    existing: HashSet<&'static str>,
    silent: HashMap<&'static str, Silence>,
}

/// Since when a stream has acked nothing, and how it stood then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Silence {
    since: Instant,
    stood: Standing,
}

/// A stream that stores something gets another last sequence; one that is made anew, another time of creation. Its sequence alone would not
/// tell: what has never stored anything is followed by one that has not stored anything yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    created: OffsetDateTime,
    last_sequence: u64,
}

impl Streams {
    /// Makes the streams that are missing. Idempotent.
    pub(super) async fn declare(&self, jetstream: &jetstream::Context) -> anyhow::Result<()> {
        let _turn = self.declaring.lock().await;
        for (name, subjects, max_age, max_bytes) in [
            (subject::COMMAND_STREAM, subject::COMMAND_SUBJECTS, COMMAND_AGE, COMMAND_BYTES),
            (subject::REPLY_STREAM, subject::REPLY_SUBJECTS, COMMAND_AGE, COMMAND_BYTES),
            (subject::EVENT_STREAM, subject::EVENT_SUBJECTS, EVENT_AGE, EVENT_BYTES),
        ] {
            match jetstream.get_stream(name).await {
                Ok(stream) => let_go_of_the_oldest(jetstream, &stream).await,
                Err(error) if is_gone(&error) => {
                    if self.with_seen(|seen| seen.existing.contains(name)) {
                        tracing::warn!(stream = name, "a stream is gone; it is made anew");
                        sleep(GONE_FOR_GOOD).await;
                    }
                    let config = Config {
                        name: name.to_owned(),
                        subjects: vec![subjects.to_owned()],
                        retention: RetentionPolicy::Limits,
                        storage: StorageType::File,
                        max_age,
                        max_bytes,
                        discard: WHEN_FULL,
                        allow_direct: true,
                        ..Config::default()
                    };
                    let made = jetstream.get_or_create_stream(config).await;
                    made.with_context(|| {
                        format!("declaring stream {name}, for which NATS keeps {} GiB of its storage", max_bytes >> 30)
                    })?;
                }
                Err(error) => return Err(error).with_context(|| format!("looking for stream {name}")),
            }
            self.saw(name);
        }
        Ok(())
    }

    /// This stream is there: should it be gone one day, it is on its way out.
    pub(super) fn saw(&self, name: &'static str) {
        self.with_seen(|seen| seen.existing.insert(name));
    }

    /// A message on this subject was acked.
    pub(super) fn acked(&self, subject: &str) {
        let name = subject::stream_of(subject);
        self.with_seen(|seen| {
            seen.existing.insert(name);
            seen.silent.remove(name);
        });
    }

    /// A message on this subject was not acked, though its stream is there: should that have been so for long, the stream
    /// is made anew. A server that is merely slow stores something meanwhile, and is left alone; a disk that stands still
    /// for as long costs a re-sending, which is harmless.
    pub(super) async fn not_acked(&self, jetstream: &jetstream::Context, subject: &str) -> anyhow::Result<()> {
        let name = subject::stream_of(subject);
        let stream = jetstream.get_stream(name).await.context("looking at the stream")?;
        let info = stream.cached_info();
        let stands = Standing { created: info.created, last_sequence: info.state.last_sequence };
        if self.with_seen(|seen| is_broken(&mut seen.silent, name, stands, Instant::now())) {
            tracing::error!(
                stream = name,
                "the stream stores nothing; it is made anew, and what it held is sent again"
            );
            jetstream.delete_stream(name).await.with_context(|| format!("deleting stream {name}"))?;
            self.declare(jetstream).await?;
        }
        Ok(())
    }

    fn with_seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Streams that the release before made refuse what is new when they are full. What else an operator has set, such as a bound, stays. Where the
/// change is not possible the stream serves until it is full, so nobody waits for it.
async fn let_go_of_the_oldest(jetstream: &jetstream::Context, stream: &Stream<Info>) {
    let config = &stream.cached_info().config;
    if config.discard == WHEN_FULL {
        return;
    }
    let changed = Config { discard: WHEN_FULL, discard_new_per_subject: false, ..config.clone() };
    match jetstream.update_stream(&changed).await {
        Ok(_) => tracing::warn!(stream = config.name, "the stream refused messages when it was full; it was changed"),
        Err(error) => tracing::error!(
            stream = config.name,
            %error,
            "the stream will refuse messages when it is full, and could not be changed: set its discard policy to `old`"
        ),
    }
}

/// Whether this silence shows a broken stream. If so it is forgotten: the stream that follows gets its own time.
fn is_broken(
    silent: &mut HashMap<&'static str, Silence>,
    stream: &'static str,
    stands: Standing,
    now: Instant,
) -> bool {
    let known = silent.get(stream).filter(|known| known.stood == stands);
    let broken = known.is_some_and(|known| now.duration_since(known.since) >= BROKEN_AFTER);
    if broken {
        silent.remove(stream);
    } else if known.is_none() {
        silent.insert(stream, Silence { since: now, stood: stands });
    }
    broken
}

/// Whether the server says that there is no such stream; anything else says nothing about the stream.
fn is_gone(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_shows_that_a_stream_is_there_has_it_made_anew_with_care() {
        let streams = Streams::default();
        streams.acked("cmd.payment.capture_payment.v1");
        streams.saw(subject::EVENT_STREAM);
        let existing = streams.with_seen(|seen| seen.existing.clone());
        assert_eq!(existing, HashSet::from([subject::COMMAND_STREAM, subject::EVENT_STREAM]));
    }

    #[test]
    fn a_stream_is_broken_only_if_nothing_is_stored_for_long() {
        let mut silent = HashMap::new();
        let begun = Instant::now();
        let made_at = |minute: u64| OffsetDateTime::UNIX_EPOCH + Duration::from_secs(60 * minute);
        let mut after = |seconds: u64, minute, last_sequence| {
            let stands = Standing { created: made_at(minute), last_sequence };
            is_broken(&mut silent, "S", stands, begun + Duration::from_secs(seconds))
        };
        assert!(!after(0, 1, 7));
        assert!(!after(14, 1, 7));
        // Somebody else's message was stored: it is slow, not broken.
        assert!(!after(16, 1, 8));
        assert!(!after(30, 1, 8));
        assert!(after(31, 1, 8));
        // Made anew, it has its time again.
        assert!(!after(32, 2, 0));
        // Another process has found that one broken too, and the next has not stored anything yet.
        assert!(!after(48, 3, 0));
        assert!(!after(62, 3, 0));
        assert!(after(63, 3, 0));
    }
}
