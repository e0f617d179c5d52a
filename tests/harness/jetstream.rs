//! The bus, as somebody who has got into it: reads all that was said, says it again, says nonsense, deletes streams.

use std::time::Duration;

use async_nats::{
    ConnectOptions, ServerAddr,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
        stream::{Config, DiscardPolicy, Stream},
    },
};
use futures::{StreamExt, TryStreamExt};
use makegood_contracts::subject;

/// In the order in which one thing leads to another: a command to its reply.
pub const STREAMS: [&str; 3] = [subject::COMMAND_STREAM, subject::REPLY_STREAM, subject::EVENT_STREAM];

const SQUATTER: &str = "SQUATTER";
const CONSUMED_WITHIN: Duration = Duration::from_secs(60);

/// A message as it lies in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub subject: String,
    pub body: Vec<u8>,
}

/// A connection beside those of the roles.
pub struct JetStream {
    context: jetstream::Context,
}

impl JetStream {
    pub(crate) async fn connect(url: &str) -> Self {
        let address: ServerAddr = url.parse().expect("the URL of NATS can be read");
        let (user, password) = address.username().zip(address.password()).expect("the URL has user and password");
        let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
        let client = options.connect(address).await.expect("NATS can be reached");
        Self { context: jetstream::new(client) }
    }

    /// All that a stream holds, oldest first.
    pub async fn messages(&self, stream: &str) -> Vec<Said> {
        let stream = self.stream(stream).await;
        let count = stream.get_info().await.expect("the stream tells its size").state.messages;
        let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
        let consumer = stream.create_consumer(config).await.expect("a consumer from the beginning");
        let messages = consumer.messages().await.expect("messages are delivered");
        let count = usize::try_from(count).expect("a count of messages");
        let said = messages
            .take(count)
            .map_ok(|message| Said { subject: message.subject.to_string(), body: message.payload.to_vec() });
        said.try_collect().await.expect("every message is delivered")
    }

    /// Whether the stream is there and holds a message on the subject.
    pub async fn holds(&self, stream: &str, subject: &str) -> bool {
        match self.context.get_stream(stream).await {
            Ok(stream) => stream.get_last_raw_message_by_subject(subject).await.is_ok(),
            Err(_) => false,
        }
    }

    /// Returns once the stream has the message.
    pub async fn publish(&self, subject: &str, body: impl Into<Vec<u8>>) {
        let body: Vec<u8> = body.into();
        let ack = self.context.publish(subject.to_owned(), body.into()).await.expect("a message can be sent");
        ack.await.expect("the stream takes the message");
    }

    /// With all its messages and consumers.
    pub async fn delete_stream(&self, stream: &str) {
        self.context.delete_stream(stream).await.expect("the stream can be deleted");
    }

    /// Has a stream refuse what would make it larger than so many bytes.
    pub async fn refuse_beyond(&self, stream: &str, bytes: i64) {
        let config = self.stream(stream).await.cached_info().config.clone();
        let smaller = Config { max_bytes: bytes, discard: DiscardPolicy::New, ..config };
        self.context.update_stream(&smaller).await.expect("the stream can be changed");
    }

    /// The oldest message that a stream has: later than the first one there was, once it has let go of something.
    pub async fn first_sequence(&self, stream: &str) -> u64 {
        self.stream(stream).await.cached_info().state.first_sequence
    }

    /// Takes a stream's subjects for another one, so that it cannot be made: as when the server has no room for it.
    pub async fn squat(&self, subjects: &str) {
        let config = Config { name: SQUATTER.to_owned(), subjects: vec![subjects.to_owned()], ..Config::default() };
        self.context.create_stream(config).await.expect("the subjects are free");
    }

    /// Gives them back.
    pub async fn leave(&self) {
        self.delete_stream(SQUATTER).await;
    }

    /// Has a stream forget all of its messages.
    pub async fn purge(&self, stream: &str) -> anyhow::Result<()> {
        self.stream(stream).await.purge().await?;
        Ok(())
    }

    /// Waits until every consumer has taken, and acked, all that its stream holds.
    pub async fn wait_until_consumed(&self) {
        for name in STREAMS {
            crate::until(&format!("all of {name} is consumed"), CONSUMED_WITHIN, async || {
                let consumers: Vec<_> = self.stream(name).await.consumers().try_collect().await.ok()?;
                let durable = || consumers.iter().filter(|consumer| consumer.config.durable_name.is_some());
                let is_done = durable().all(|consumer| consumer.num_pending == 0 && consumer.num_ack_pending == 0);
                is_done.then_some(())
            })
            .await;
        }
    }

    async fn stream(&self, name: &str) -> Stream {
        self.context.get_stream(name).await.expect("the stream is there")
    }
}
