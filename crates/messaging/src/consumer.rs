//! A durable pull consumer that survives the loss of itself and of its stream.
//!
//! `async-nats` yields errors for ever when a consumer is deleted during a reconnect, and waits in silence when the
//! server lost its data. So on each reconnection, error or end the pull is dropped, stream and consumer are got or
//! made again, and pulling goes on. Whatever was lost with the stream is sent again by its owner.

use std::time::Duration;

use anyhow::Context as _;
pub use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use futures::{FutureExt as _, StreamExt as _};
use makegood_chassis::shutdown::Shutdown;
use tokio::sync::watch;

use crate::{backoff::Backoff, bus::Bus};

/// Unacked for so long means that the replica died or hangs: another one gets the message.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// Two missed heartbeats end the pull, so that a lost consumer is noticed within ten seconds.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// Messages fetched ahead: few, since each carries up to 256 commands and another replica may be idle.
const PREFETCH: usize = 128;
/// More unacked messages than this mean that PostgreSQL is the bottleneck: the rest waits in the stream.
const MAX_ACK_PENDING: i64 = 1_024;

/// One durable consumer, shared by the replicas of a role.
pub struct Consumer {
    bus: Bus,
    stream: &'static str,
    durable: String,
    filters: Vec<String>,
    connections: watch::Receiver<u64>,
    pull: Option<pull::Stream>,
    backoff: Backoff,
    shutdown: Shutdown,
}

impl Consumer {
    pub fn new(bus: &Bus, stream: &'static str, durable: &str, filters: Vec<String>, shutdown: Shutdown) -> Self {
        Self {
            bus: bus.clone(),
            stream,
            durable: durable.to_owned(),
            filters,
            connections: bus.reconnections(),
            pull: None,
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(2)),
            shutdown,
        }
    }

    /// Waits for a message and takes along what else is waiting, `max` at most. None once shutdown has begun.
    ///
    /// Safe to drop while it waits: a message is either still in the pull or in the returned batch.
    pub async fn next_batch(&mut self, max: usize) -> Option<Vec<Message>> {
        let stop = self.shutdown.token.clone();
        loop {
            if stop.is_cancelled() {
                return None;
            }
            let Some(pull) = self.pull.as_mut() else {
                self.reopen().await;
                continue;
            };
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                _ = self.connections.changed() => {
                    self.pull = None;
                    continue;
                }
                first = pull.next() => first,
            };
            match first {
                Some(Ok(message)) => {
                    self.backoff.reset();
                    let mut batch = vec![message];
                    while batch.len() < max
                        && let Some(Some(Ok(message))) = pull.next().now_or_never()
                    {
                        batch.push(message);
                    }
                    return Some(batch);
                }
                Some(Err(error)) => {
                    tracing::warn!(consumer = self.durable, %error, "pulling failed; making the consumer anew");
                    self.pull = None;
                }
                None => self.pull = None,
            }
        }
    }

    async fn reopen(&mut self) {
        self.connections.mark_unchanged();
        match self.open().await {
            Ok(pull) => self.pull = Some(pull),
            Err(error) => {
                tracing::warn!(consumer = self.durable, error = format!("{error:#}"), "cannot consume yet");
                tokio::select! {
                    () = tokio::time::sleep(self.backoff.next_delay()) => {}
                    () = self.shutdown.token.cancelled() => {}
                }
            }
        }
    }

    async fn open(&self) -> anyhow::Result<pull::Stream> {
        let jetstream = self.bus.jetstream();
        let stream = match jetstream.get_stream(self.stream).await {
            Ok(stream) => stream,
            Err(_) => {
                self.bus.declare_streams().await?;
                jetstream.get_stream(self.stream).await.context("getting the stream")?
            }
        };
        let config = pull::Config {
            durable_name: Some(self.durable.clone()),
            filter_subjects: self.filters.clone(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            // We count deliveries ourselves: past a server-side limit a message would be neither redelivered nor gone.
            max_deliver: -1,
            max_ack_pending: MAX_ACK_PENDING,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = stream.create_consumer(config).await.context("declaring the consumer")?;
        consumer
            .stream()
            .max_messages_per_batch(PREFETCH)
            .heartbeat(HEARTBEAT)
            .expires(Duration::from_secs(30))
            .messages()
            .await
            .context("beginning to pull")
    }
}

/// Acks messages whose work is durable. A lost ack only means a redelivery, which is answered from the barrier.
pub async fn ack_all(messages: &[Message]) {
    for message in messages {
        if let Err(error) = message.ack().await {
            tracing::debug!(%error, "an ack could not be sent; the message will come again");
        }
    }
}
