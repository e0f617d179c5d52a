//! A durable pull consumer that survives the loss of itself and of its stream.
//!
//! `async-nats` yields errors for ever when a consumer is deleted during a reconnect, and waits in silence when the
//! server lost its data. So on each reconnection, error or end the pull is dropped, stream and consumer are got or
//! made again, and pulling goes on. Whatever was lost with the stream is sent again by its owner.

use std::time::Duration;

use anyhow::Context as _;
pub use async_nats::jetstream::Message;
use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    stream::Stream,
};
use futures::{FutureExt as _, StreamExt as _};
use makegood_chassis::shutdown::Shutdown;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{backoff::Backoff, bus::Bus, event_log};

/// Unacked for so long means that the replica died or hangs: another one gets the message.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// Two missed heartbeats end the pull, so that a lost consumer is noticed within ten seconds.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// Messages fetched ahead: few, since each carries up to 256 commands and another replica may be idle.
const PREFETCH: usize = 128;
/// After a panic of what begins a pull, which would come again at once.
const AFTER_PANIC: Duration = Duration::from_secs(1);
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
    /// A task of its own, kept between calls. A caller that waits for other things too drops its wait at each of them: if that began the
    /// opening anew, whoever is busy enough would never get to read; and if it went on only while it is waited for, it would keep
    /// everybody from making streams while its caller waits for one of them.
    Beginning(AbortOnDropHandle<Pull>),
}

impl Consumer {
    /// Begins to pull at once, on a task of the runtime that this is called on.
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
                    self.pulling = match pull {
                        Ok(pull) => Pulling::Begun(Box::new(pull)),
                        Err(error) => {
                            tracing::error!(consumer = self.wanted.durable, %error, "beginning to pull broke off; beginning anew");
                            self.wanted.beginning_after(AFTER_PANIC)
                        }
                    };
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
        self.beginning_after(Duration::ZERO)
    }

    fn beginning_after(&self, pause: Duration) -> Pulling {
        let wanted = self.clone();
        Pulling::Beginning(AbortOnDropHandle::new(tokio::spawn(async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            wanted.pull().await
        })))
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
            Ok(stream) => {
                self.bus.saw_stream(self.stream);
                stream
            }
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
            metadata: event_log::mark(),
            ..pull::Config::default()
        };
        let consumer: PullConsumer = stream.create_consumer(config).await.context("declaring the consumer")?;
        self.ensure_not_beyond_its_end(&stream, &consumer).await?;
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

    /// A stream that is made where a broken one was may find that one's consumers on the disk (nats-server 2.15): they go on from where they
    /// stood, and pass over all that the new stream stores until it has come so far. Such a consumer is deleted, to be made anew. Another replica may delete the new one for the same
    /// reason: what was read from it comes once more.
    async fn ensure_not_beyond_its_end(&self, stream: &Stream, consumer: &PullConsumer) -> anyhow::Result<()> {
        let stands_at = consumer.cached_info().delivered.stream_sequence;
        // Asked for afterwards: a consumer that was delivered to meanwhile is not beyond what was stored meanwhile.
        let end = stream.get_info().await.context("looking at the stream")?.state.last_sequence;
        if stands_at > end {
            stream
                .delete_consumer(&self.durable)
                .await
                .context("deleting a consumer that stands beyond its stream's end")?;
            anyhow::bail!("the consumer stands at {stands_at}, and its stream ends at {end}: it is made anew");
        }
        Ok(())
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
