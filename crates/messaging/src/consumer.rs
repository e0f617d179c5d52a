//! A durable pull consumer that survives the loss of itself and of its stream.
//!
//! `async-nats` yields errors for ever when a consumer is deleted during a reconnect, and waits in silence when the
//! server lost its data. So on each reconnection, error or end the pull is dropped, stream and consumer are got or
//! made again, and pulling goes on. Whatever was lost with the stream is sent again by its owner.

use std::time::Duration;

use anyhow::Context as _;
pub use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
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
    wanted: Wanted,
    pulling: Pulling,
    shutdown: Shutdown,
}

/// What is consumed, and where.
#[derive(Clone)]
struct Wanted {
    bus: Bus,
    stream: &'static str,
    durable: String,
    filters: Vec<String>,
}

/// A pull, and what tells that the connection under it is another one by now.
struct Pull {
    messages: pull::Stream,
    connections: watch::Receiver<u64>,
}

enum Pulling {
    Begun(Box<Pull>),
    /// Kept between calls: a caller that waits for other things too drops its wait at each of them. If that began the
    /// opening anew, whoever is busy enough would never get to read.
    Beginning(BoxFuture<'static, Pull>),
}

impl Consumer {
    pub fn new(bus: &Bus, stream: &'static str, durable: &str, filters: Vec<String>, shutdown: Shutdown) -> Self {
        let wanted = Wanted { bus: bus.clone(), stream, durable: durable.to_owned(), filters };
        Self { pulling: wanted.beginning(), wanted, shutdown }
    }

    /// Waits for a message and takes along what else is waiting, `max` at most. None once shutdown has begun.
    ///
    /// Safe to drop while it waits: a message is either still in the pull or in the returned batch.
    pub async fn next_batch(&mut self, max: usize) -> Option<Vec<Message>> {
        let stop = self.shutdown.token.clone();
        loop {
            let Pull { messages, connections } = match &mut self.pulling {
                Pulling::Begun(pull) => pull.as_mut(),
                Pulling::Beginning(begun) => {
                    let pull = tokio::select! {
                        biased;
                        () = stop.cancelled() => return None,
                        pull = begun => pull,
                    };
                    self.pulling = Pulling::Begun(Box::new(pull));
                    continue;
                }
            };
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                // Before a new connection is heeded: what has arrived over the old one would else wait for its redelivery.
                first = messages.next() => first,
                _ = connections.changed() => {
                    self.pulling = self.wanted.beginning();
                    continue;
                }
            };
            match first {
                Some(Ok(message)) => {
                    let mut batch = vec![message];
                    while batch.len() < max
                        && let Some(Some(Ok(message))) = messages.next().now_or_never()
                    {
                        batch.push(message);
                    }
                    return Some(batch);
                }
                Some(Err(error)) => {
                    tracing::warn!(consumer = self.wanted.durable, %error, "pulling failed; making the consumer anew");
                    self.pulling = self.wanted.beginning();
                }
                None => self.pulling = self.wanted.beginning(),
            }
        }
    }
}

impl Wanted {
    fn beginning(&self) -> Pulling {
        Pulling::Beginning(self.clone().pull().boxed())
    }

    /// Begins to pull, however long that takes.
    async fn pull(self) -> Pull {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            match self.try_pull().await {
                Ok(pull) => return pull,
                Err(error) => {
                    tracing::warn!(consumer = self.durable, error = format!("{error:#}"), "cannot consume yet");
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    async fn try_pull(&self) -> anyhow::Result<Pull> {
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
        // Not earlier: all before this is answered over any connection, and a pull that is dropped for nothing leaves the
        // messages that are on their way to it to their redelivery.
        let mut connections = self.bus.reconnections();
        connections.mark_unchanged();
        let messages = consumer
            .stream()
            .max_messages_per_batch(PREFETCH)
            .heartbeat(HEARTBEAT)
            .expires(Duration::from_secs(30))
            .messages()
            .await
            .context("beginning to pull")?;
        Ok(Pull { messages, connections })
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
