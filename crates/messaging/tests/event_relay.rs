//! The relay of a log against real PostgreSQL and real JetStream, where its positions mean nothing any more.

use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull};
use futures::StreamExt as _;
use makegood_chassis::{clock::DbClock, shutdown::Shutdown};
use makegood_contracts::{account::Account, event::Event, subject};
use makegood_messaging::{
    bus::Bus,
    event_log::{NewEvent, record, relay},
    worker::Worker,
};
use makegood_testing::{TestDatabase, nats_client, nats_url};
use sqlx::PgPool;
use tokio::{task::JoinHandle, time::timeout};
use uuid::Uuid;

/// Everything here comes within a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

static NO_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;

async fn happen(db: &PgPool, name: &'static str, subjects: &[&str]) {
    let account = Account { id: Uuid::nil(), livemode: false };
    let event = |subject: &&str| {
        let subject = (*subject).to_owned();
        NewEvent { name, account, subject, version: 1, data: serde_json::Value::Null }
    };
    let events: Vec<NewEvent> = subjects.iter().map(event).collect();
    record(&mut db.acquire().await.expect("a connection"), &events).await.expect("records");
}

fn start(worker: &Worker) -> (Shutdown, JoinHandle<anyhow::Result<()>>) {
    let shutdown = Shutdown::default();
    let worker = Worker { shutdown: shutdown.clone(), ..worker.clone() };
    (shutdown, tokio::spawn(relay(worker, "messaging")))
}

/// A server that is restored from a dump counts transactions anew. What happens there must not wait until it has caught up.
#[tokio::test]
async fn a_log_that_was_restored_into_another_server_goes_on_being_told() {
    restored("update event_log set id = uuidv7_floor(now() - interval '1 hour')").await;
}

/// As after a fail-over: its last events are young enough to be told again for that alone.
#[tokio::test]
async fn a_log_that_was_restored_at_once_goes_on_being_told_too() {
    restored("update event_log set occurred_at = now()").await;
}

async fn restored(age: &'static str) {
    let run = Uuid::now_v7().simple().to_string();
    let name: &'static str = format!("relay_{run}.happened").leak();
    let database = TestDatabase::create("messaging", &NO_MIGRATIONS).await;
    let db = database.db.clone();
    let bus = Bus::connect(&nats_url(), &run).await.expect("connects");
    let clock = DbClock::measure(&db).await.expect("a clock");
    let worker = Worker { db: db.clone(), bus: bus.clone(), clock, shutdown: Shutdown::default() };
    bus.declare_streams().await.expect("declares");
    let stream = jetstream::new(nats_client().await).get_stream(subject::EVENT_STREAM).await.expect("a stream");
    let config = pull::Config { filter_subject: subject::event(name), ..pull::Config::default() };
    let consumer: jetstream::consumer::PullConsumer = stream.create_consumer(config).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    let mut next_told = async || {
        let message =
            timeout(PATIENCE, messages.next()).await.expect("something is told").expect("open").expect("a message");
        let events: Vec<Event> = serde_json::from_slice(&message.payload).expect("events");
        events.into_iter().map(|event| event.subject).collect::<Vec<_>>()
    };

    happen(&db, name, &["before"]).await;
    let (shutdown, running) = start(&worker);
    assert_eq!(next_told().await, ["before"]);
    shutdown.begin();
    running.await.expect("it does not panic").expect("it ends in order");

    for sql in [
        age,
        "update event_log set written_by = '9000000000000'",
        "update event_relay set written_by = '9000000000000'",
    ] {
        sqlx::query(sql).execute(&db).await.expect("changes");
    }
    happen(&db, name, &["after"]).await;
    let (shutdown, running) = start(&worker);
    assert_eq!(next_told().await, ["before", "after"], "the whole log is told, in order");
    happen(&db, name, &["later"]).await;
    assert_eq!(next_told().await, ["later"]);
    shutdown.begin();
    running.await.expect("it does not panic").expect("it ends in order");
    database.verify_and_drop(&[]).await;
}
