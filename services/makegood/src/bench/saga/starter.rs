//! Starts sagas over NATS, many a message when many begin at once, and sees them end by the orchestrator's notes.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};

use anyhow::Context as _;
use futures::StreamExt as _;
use makegood_contracts::{
    orchestrator::{SAGAS_ENDED, START_SAGA, SagaEnded, StartSaga},
    subject,
};
use makegood_messaging::bus::Bus;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::system::DEFINITION;
use crate::bench::load::{Client, Failure};

/// A saga that takes longer counts as an error: far beyond any latency that is worth a figure.
const PATIENCE: Duration = Duration::from_secs(30);

type Waiting = Rc<RefCell<HashMap<Uuid, oneshot::Sender<()>>>>;

/// Shared by the clients; lives on one thread.
pub(super) struct Starter {
    starts: mpsc::UnboundedSender<StartSaga>,
    started: Rc<Cell<u64>>,
    waiting: Waiting,
}

/// One saga at a time.
pub(super) struct SagaClient {
    starts: mpsc::UnboundedSender<StartSaga>,
    started: Rc<Cell<u64>>,
    waiting: Waiting,
}

impl Starter {
    pub(super) async fn connect(nats_url: &str) -> anyhow::Result<Self> {
        let bus = Bus::connect(nats_url, "makegood-bench-load").await?;
        let notes = bus.listen(SAGAS_ENDED).await.context("listening for sagas that end")?;
        let waiting = Waiting::default();
        let (starts, begun) = mpsc::unbounded_channel();
        tokio::task::spawn_local(publish(bus, begun));
        tokio::task::spawn_local(listen(notes, Rc::clone(&waiting)));
        Ok(Self { starts, started: Rc::default(), waiting })
    }

    pub(super) fn client(&self) -> SagaClient {
        SagaClient { starts: self.starts.clone(), started: Rc::clone(&self.started), waiting: Rc::clone(&self.waiting) }
    }

    /// Sagas of all clients so far.
    pub(super) fn started(&self) -> u64 {
        self.started.get()
    }
}

/// What has gathered since the last message goes in one.
async fn publish(bus: Bus, mut begun: mpsc::UnboundedReceiver<StartSaga>) {
    let mut batch = Vec::new();
    while begun.recv_many(&mut batch, 1_024).await > 0 {
        if let Err(error) = bus.publish_all(&subject::command(START_SAGA), &batch).await {
            // Their clients count them as errors when their patience ends.
            eprintln!("starting sagas: {error:#}");
        }
        batch.clear();
    }
}

async fn listen(mut notes: impl futures::Stream<Item = Vec<u8>> + Unpin, waiting: Waiting) {
    while let Some(note) = notes.next().await {
        let ended: Vec<SagaEnded> = match serde_json::from_slice(&note) {
            Ok(ended) => ended,
            Err(error) => {
                eprintln!("a note of ended sagas cannot be read: {error}");
                continue;
            }
        };
        let mut waiting = waiting.borrow_mut();
        for one in ended {
            if let Some(client) = waiting.remove(&one.saga_id) {
                // A client whose patience has ended is gone.
                client.send(()).ok();
            }
        }
    }
}

impl Client for SagaClient {
    async fn iterate(&mut self) -> Result<Duration, Failure> {
        let begin = Instant::now();
        let saga_id = Uuid::now_v7();
        let (ended, end) = oneshot::channel();
        self.waiting.borrow_mut().insert(saga_id, ended);
        let start = StartSaga {
            saga_id,
            definition: DEFINITION.to_owned(),
            reference: saga_id.to_string(),
            customer: None,
            input: serde_json::json!({}),
            signals: serde_json::Map::new(),
            traceparent: None,
        };
        self.starts.send(start).map_err(|_closed| Failure::of("the starter has stopped"))?;
        self.started.set(self.started.get() + 1);
        match tokio::time::timeout(PATIENCE, end).await {
            Ok(Ok(())) => Ok(begin.elapsed()),
            Ok(Err(_)) => Err(Failure::of("the listener has stopped")),
            Err(_elapsed) => {
                self.waiting.borrow_mut().remove(&saga_id);
                Err(Failure::of("no end within 30 s"))
            }
        }
    }
}
