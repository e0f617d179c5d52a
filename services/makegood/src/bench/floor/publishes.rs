//! Publishes per second that JetStream has acknowledged, on a stream of their own that is deleted afterwards.

use std::{future::IntoFuture as _, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::{self, stream};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use super::Rate;

/// The size of a command with its envelope.
const PAYLOAD: &[u8] = &[b'x'; 300];
/// Old messages make room: the disk's size is not what is measured.
const STREAM_BYTES: i64 = 256 * 1024 * 1024;

pub(super) async fn measure(nats_url: &str, in_flight: &[usize], each: Duration) -> anyhow::Result<Vec<Rate>> {
    let context = jetstream::new(connect(nats_url).await?);
    let id = uuid::Uuid::now_v7().simple().to_string();
    let (name, subject) = (format!("MAKEGOOD_BENCH_{id}"), format!("makegood_bench.{id}"));
    let config = stream::Config {
        name: name.clone(),
        subjects: vec![subject.clone()],
        storage: stream::StorageType::File,
        max_bytes: STREAM_BYTES,
        discard: stream::DiscardPolicy::Old,
        ..stream::Config::default()
    };
    context.create_stream(config).await.context("creating a scratch stream")?;
    let rates = measure_on(&context, &subject, in_flight, each).await;
    context.delete_stream(&name).await.context("deleting the scratch stream")?;
    rates
}

/// The client library takes no credentials from the address by itself.
async fn connect(nats_url: &str) -> anyhow::Result<async_nats::Client> {
    let server: async_nats::ServerAddr = nats_url.parse().context("NATS_URL")?;
    let mut options = async_nats::ConnectOptions::new().name("makegood-bench");
    if let (Some(user), Some(password)) = (server.username(), server.password()) {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    options.connect(server).await.context("connecting to NATS")
}

async fn measure_on(
    context: &jetstream::Context,
    subject: &str,
    in_flight: &[usize],
    each: Duration,
) -> anyhow::Result<Vec<Rate>> {
    let mut rates = Vec::new();
    for at_once in in_flight {
        rates.push(publish(context, subject, *at_once, each).await?);
    }
    Ok(rates)
}

/// Keeps `at_once` messages without their acknowledgement.
async fn publish(context: &jetstream::Context, subject: &str, at_once: usize, each: Duration) -> anyhow::Result<Rate> {
    let begin = Instant::now();
    let mut unacknowledged = FuturesUnordered::new();
    let mut count = 0;
    while begin.elapsed() < each {
        while unacknowledged.len() < at_once {
            let acknowledged = context.publish(subject.to_owned(), PAYLOAD.into()).await.context("publishing")?;
            unacknowledged.push(acknowledged.into_future());
        }
        if let Some(acknowledged) = unacknowledged.next().await {
            acknowledged.context("waiting for JetStream's acknowledgement")?;
            count += 1;
        }
    }
    Ok(Rate::of(at_once, count, begin.elapsed()))
}
