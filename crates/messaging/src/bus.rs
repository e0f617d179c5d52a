//! The connection to NATS and the streams on it.
//!
//! JetStream carries; it never knows. It acks before it syncs, so whatever is published here can be published again by
//! whoever holds the row behind it. For the same reason messages carry no `Nats-Msg-Id`: duplicates are harmless
//! (the barrier, versions), and a re-sent command must not be swallowed by JetStream's duplicate window.

mod streams;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use async_nats::{
    ConnectOptions, Event, ServerAddr,
    jetstream::{
        self,
        context::{ContextBuilder, GetStreamError, GetStreamErrorKind, PublishError, PublishErrorKind},
    },
};
use futures::{Stream, StreamExt as _};
use makegood_contracts::subject;
use tokio::sync::watch;

use streams::Streams;

/// Above this, an array is split into several messages: well below the server's default limit of 1 MiB.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Most items in one message: what a participant handles in one transaction.
pub const MAX_ITEMS: usize = 256;
/// An ack that takes longer means a lost connection or an overloaded server; the sender publishes again.
const ACK_TIMEOUT: Duration = Duration::from_secs(3);

/// A server that hangs keeps its connections. One that has left two pings without an answer is taken for gone when the third is due: after
/// some 15 s, where the client's own measure would be three minutes.
const PING_EVERY: Duration = Duration::from_secs(5);

/// A connection that heals itself; clones share it.
#[derive(Debug, Clone)]
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    connections: watch::Receiver<u64>,
    streams: Streams,
    /// The connection was lost, or a message was left without an answer, and nothing has been answered since.
    is_silent: Arc<AtomicBool>,
}

impl Bus {
    /// Begins to connect, and goes on with backoff and jitter until it works: what is published before then waits or
    /// fails like during any outage. Streams are declared by whoever finds them missing.
    ///
    /// # Errors
    /// A URL that is none. User and password in it are used.
    pub async fn connect(url: &str, name: &str) -> anyhow::Result<Self> {
        let (connected, connections) = watch::channel(0_u64);
        let is_silent = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&is_silent);
        let address: ServerAddr = url.parse().context("NATS_URL is no address such as nats://127.0.0.1:4222")?;
        let options = match (address.username(), address.password()) {
            (Some(user), Some(password)) => {
                ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
            }
            _ => ConnectOptions::new(),
        }
        .name(name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .ping_interval(PING_EVERY)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            let (connected, lost) = (connected.clone(), Arc::clone(&lost));
            async move {
                if matches!(event, Event::Connected) {
                    connected.send_modify(|count| *count += 1);
                } else {
                    lost.fetch_or(matches!(event, Event::Disconnected), Ordering::Relaxed);
                    tracing::warn!(%event, "NATS connection");
                }
            }
        });
        let client = options.connect(address).await.context("connecting to NATS")?;
        let jetstream =
            ContextBuilder::new().timeout(Duration::from_secs(5)).ack_timeout(ACK_TIMEOUT).build(client.clone());
        Ok(Self { client, jetstream, connections, streams: Streams::default(), is_silent })
    }

    /// Counts up with each (re)connection: whoever pulls must pull anew then.
    pub fn reconnections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Whether the connection is up, for readiness.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Whether the server is there and answers, if only that a stream is missing or cannot be made. It is asked only after a silence.
    pub async fn answers(&self) -> bool {
        if !self.is_connected() {
            return false;
        }
        if self.is_silent.load(Ordering::Relaxed) {
            if !is_answer(&self.jetstream.get_stream(subject::COMMAND_STREAM).await) {
                return false;
            }
            self.is_silent.store(false, Ordering::Relaxed);
        }
        true
    }

    /// Creates the streams that are missing. Idempotent, and called again whenever one turns out to be gone.
    pub async fn declare_streams(&self) -> anyhow::Result<()> {
        self.streams.declare(&self.jetstream).await?;
        self.is_silent.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// This stream is there.
    pub(crate) fn saw_stream(&self, name: &'static str) {
        self.streams.saw(name);
    }

    /// Publishes one message and waits for JetStream's ack. A missing stream is made again once, and so is one that has
    /// stored nothing for long.
    pub async fn publish(&self, subject: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let body = bytes::Bytes::from(body);
        if let Err(error) = self.try_publish(subject, body.clone()).await {
            if is_silence(&error) && !self.is_silent.swap(true, Ordering::Relaxed) {
                tracing::warn!("NATS leaves a message without an answer; it is asked until it answers");
            }
            self.declare_streams().await?;
            if let Err(error) = self.try_publish(subject, body).await {
                if is_silence(&error) {
                    self.streams.not_acked(&self.jetstream, subject).await?;
                }
                return Err(error);
            }
        }
        self.streams.acked(subject);
        self.is_silent.store(false, Ordering::Relaxed);
        Ok(())
    }

    async fn try_publish(&self, subject: &str, body: bytes::Bytes) -> anyhow::Result<()> {
        let ack = self
            .jetstream
            .publish(subject.to_owned(), body)
            .await
            .with_context(|| format!("publishing on {subject}"))?;
        ack.await.with_context(|| format!("awaiting the ack of a message on {subject}"))?;
        Ok(())
    }

    /// Publishes items as JSON arrays: as few messages as the limits allow, acks awaited together.
    pub async fn publish_all<T: serde::Serialize>(&self, subject: &str, items: &[T]) -> anyhow::Result<()> {
        let sends = encode_arrays(items)?.into_iter().map(|body| self.publish(subject, body));
        futures::future::try_join_all(sends).await?;
        Ok(())
    }
}

/// Notes: over plain NATS, kept by nobody.
impl Bus {
    /// Tells whoever listens at this moment. A note that is lost is only logged: nobody may rely on it.
    pub async fn note<T: serde::Serialize>(&self, subject: &'static str, items: &[T]) {
        let bodies = encode_arrays(items).unwrap_or_else(|error| {
            tracing::error!(subject, error = format!("{error:#}"), "a note could not be encoded");
            Vec::new()
        });
        for body in bodies {
            if let Err(error) = self.client.publish(subject, body.into()).await {
                tracing::debug!(subject, %error, "a note could not be sent");
            }
        }
    }

    /// The bodies of notes from now on.
    pub async fn listen(&self, subject: &'static str) -> anyhow::Result<impl Stream<Item = Vec<u8>> + use<>> {
        let subscription = self.client.subscribe(subject).await.with_context(|| format!("subscribing to {subject}"))?;
        self.client.flush().await.with_context(|| format!("subscribing to {subject}"))?;
        Ok(subscription.map(|message| message.payload.to_vec()))
    }
}

/// Whether the server has answered: that there is no such stream is an answer too.
fn is_answer<T>(asked: &Result<T, GetStreamError>) -> bool {
    asked.as_ref().err().is_none_or(|error| matches!(error.kind(), GetStreamErrorKind::JetStream(_)))
}

/// Whether the stream has not answered at all.
fn is_silence(error: &anyhow::Error) -> bool {
    let publish = error.downcast_ref::<PublishError>();
    publish.is_some_and(|error| error.kind() == PublishErrorKind::TimedOut)
}

/// Grows to two seconds, with a jitter from the attempt's number so that many clients do not come back in step.
fn reconnect_delay(attempts: usize) -> Duration {
    let grown = 50_u64.saturating_mul(1 << attempts.min(6)).min(2_000);
    let jitter = uuid::Uuid::now_v7().as_u128() as u64 % (grown / 2 + 1);
    Duration::from_millis(grown / 2 + jitter)
}

/// JSON arrays of at most [`MAX_ITEMS`] items and about [`MAX_BODY_BYTES`] bytes each.
fn encode_arrays<T: serde::Serialize>(items: &[T]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut bodies = Vec::new();
    let mut body = vec![b'['];
    let mut count = 0;
    for item in items {
        let start = body.len();
        if count > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, item).context("encoding a message")?;
        count += 1;
        if count == MAX_ITEMS || body.len() > MAX_BODY_BYTES {
            // An item that breaks the limit alone stays alone; one that breaks it with others begins the next body.
            let overflow = if count > 1 && body.len() > MAX_BODY_BYTES { body.split_off(start) } else { Vec::new() };
            body.push(b']');
            bodies.push(std::mem::replace(&mut body, vec![b'[']));
            count = 0;
            if let Some((_comma, rest)) = overflow.split_first() {
                body.extend_from_slice(rest);
                count = 1;
            }
        }
    }
    if count > 0 {
        body.push(b']');
        bodies.push(body);
    }
    Ok(bodies)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bodies: Vec<Vec<u8>>) -> Vec<Vec<String>> {
        bodies.iter().map(|body| serde_json::from_slice(body).expect("each body is a JSON array")).collect()
    }

    #[test]
    fn arrays_keep_order_and_stay_below_the_limits() {
        assert!(encode_arrays::<String>(&[]).expect("encodes").is_empty());
        let many: Vec<String> = (0..600).map(|n| n.to_string()).collect();
        let split = decoded(encode_arrays(&many).expect("encodes"));
        assert_eq!(split.iter().map(Vec::len).collect::<Vec<_>>(), [256, 256, 88]);
        assert_eq!(split.concat(), many);

        let large: Vec<String> = (0..5).map(|n| n.to_string().repeat(100_000)).collect();
        let split = decoded(encode_arrays(&large).expect("encodes"));
        assert_eq!(split.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(split.concat(), large);
    }

    #[test]
    fn an_item_beyond_the_limit_travels_alone() {
        let items = ["a".to_owned(), "b".repeat(MAX_BODY_BYTES * 2), "c".to_owned()];
        let split = decoded(encode_arrays(&items).expect("encodes"));
        assert_eq!(split.concat(), items);
        assert_eq!(split.len(), 3);
    }
}
