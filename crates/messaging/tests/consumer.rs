//! A durable consumer against real JetStream, read by somebody who has other things to wait for too.

use std::time::Duration;

use async_nats::jetstream;
use makegood_chassis::shutdown::Shutdown;
use makegood_contracts::subject;
use makegood_messaging::{
    bus::Bus,
    consumer::{Consumer, ack_all},
};
use makegood_testing::{nats_client, nats_url};
use tokio::{task::yield_now, time::timeout};
use uuid::Uuid;

/// A pull begins within milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever waits for timers as well drops the wait for messages at each of them. At 200 live sagas that was so often that,
/// after the loss of a stream, the orchestrator never got to read again.
#[tokio::test]
async fn a_wait_that_is_always_cut_short_still_comes_to_read() {
    let verb = Uuid::now_v7().simple().to_string();
    let bus = Bus::connect(&nats_url(), &verb).await.expect("connects");
    let address = subject::command(&format!("{verb}.say"));
    bus.publish(&address, b"[1]".to_vec()).await.expect("publishes");
    let mut consumer =
        Consumer::new(&bus, subject::COMMAND_STREAM, &verb, vec![subject::commands_of(&verb)], Shutdown::default());
    let reading = async {
        loop {
            tokio::select! {
                biased;
                batch = consumer.next_batch(1) => break batch.expect("no shutdown has begun"),
                () = yield_now() => {}
            }
        }
    };
    let batch = timeout(PATIENCE, reading).await.expect("something is read");
    assert_eq!(batch[0].subject.as_str(), address);
    ack_all(&batch).await;
}

/// While a pull begins it may be making streams, which one does at a time. Its reader may be waiting for somebody who waits to make them too:
/// if it went on only while it is read, neither would ever go on.
#[tokio::test]
async fn a_pull_begins_also_while_nobody_waits_for_it() {
    let verb = Uuid::now_v7().simple().to_string();
    let bus = Bus::connect(&nats_url(), &verb).await.expect("connects");
    bus.declare_streams().await.expect("declares");
    let filter = vec![subject::commands_of(&verb)];
    let _unread = Consumer::new(&bus, subject::COMMAND_STREAM, &verb, filter, Shutdown::default());
    let stream = jetstream::new(nats_client().await).get_stream(subject::COMMAND_STREAM).await.expect("a stream");
    let begins = async {
        while stream.consumer_info(&verb).await.is_err() {
            yield_now().await;
        }
    };
    timeout(PATIENCE, begins).await.expect("it has begun");
}
