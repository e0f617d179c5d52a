//! The hot loop: what has happened in, one pure transition each, one statement for all, the next commands out.
//!
//! Order is the promise: the write commits, then commands are published and messages acked. Dying in between loses
//! nothing: a message that was not acked comes again and finds the saga moved; a command that was not published is sent
//! again at its deadline or by [`crate::recovery`], whichever comes first.

mod advance;

use std::time::Duration;

use futures::FutureExt as _;
use makegood_chassis::failpoint::{self, Failpoint};
use makegood_contracts::{
    orchestrator::{START_SAGA, StartSaga},
    subject,
};
use makegood_messaging::{
    at_hand::AtHand,
    backoff::Backoff,
    consumer::{Consumer, Message, ack_all},
    dead_letter::{self, DeadLetter},
    worker::Worker,
};
use makegood_saga::{event::Event, transition::Verdict};
use tokio::sync::mpsc;
use uuid::Uuid;

#[cfg(test)]
pub(crate) use advance::Begun;
pub(crate) use advance::{Advance, Working};

use crate::{definitions::Definitions, due_sagas, inbox::Inbox, outgoing::Outgoing, recovery, saga_cache::SagaCache};

/// Messages per source and round. Each may carry up to 256 replies.
const MAX_MESSAGES: usize = 64;
/// Events of one transaction. More are written in several, so that no statement grows without bound.
const MAX_EVENTS: usize = 512;
/// A round that wrote so many sagas shows load, and a next one that begins with fewer than `ENOUGH` waits for company:
/// sagas then move in step, and every statement down the line serves more of them (docs/performance.md has what it
/// brought). When few are under way nothing waits, and neither does what has come together already.
const BUSY: usize = 5;
const ENOUGH: usize = 32;
const LINGER: Duration = Duration::from_millis(2);
/// Deadlines and recoveries that wait for the loop.
const INTERNAL_QUEUE: usize = 64;
/// Of those, taken in one round. After a restart under load a round has thousands of replies, and with one each the recovery
/// would take as many rounds; with all of them replies would wait for seconds.
const MAX_INTERNAL: usize = 8;

/// Runs until shutdown.
pub(crate) async fn run(worker: Worker, definitions: Definitions) -> anyhow::Result<()> {
    let (internal, waiting) = mpsc::channel(INTERNAL_QUEUE);
    let driver = Driver::new(worker.clone(), definitions, waiting);
    tokio::try_join!(
        driver.drive(),
        due_sagas::find(worker.clone(), internal.clone()),
        recovery::recover(worker, internal),
    )?;
    Ok(())
}

/// What the clock or a restart brings to a saga, as it stood in the database at `revision`.
pub(crate) struct Timed {
    pub(crate) saga_id: Uuid,
    pub(crate) revision: i32,
    pub(crate) event: Event,
}

struct Driver {
    worker: Worker,
    advance: Advance,
    cache: SagaCache,
    commands: Consumer,
    replies: Consumer,
    internal: mpsc::Receiver<Vec<Timed>>,
}

impl Driver {
    fn new(worker: Worker, definitions: Definitions, internal: mpsc::Receiver<Vec<Timed>>) -> Self {
        let consumer =
            |stream, filter| Consumer::new(&worker.bus, stream, "orchestrator", vec![filter], worker.shutdown.clone());
        Self {
            advance: Advance { connections: AtHand::new(worker.db.clone()), clock: worker.clock.clone(), definitions },
            cache: SagaCache::default(),
            commands: consumer(subject::COMMAND_STREAM, subject::commands_of("orchestrator")),
            replies: consumer(subject::REPLY_STREAM, subject::REPLY_SUBJECTS.to_owned()),
            internal,
            worker,
        }
    }

    async fn drive(mut self) -> anyhow::Result<()> {
        let mut written = 0;
        loop {
            let mut messages = Vec::new();
            let mut inbox = Inbox::default();
            tokio::select! {
                batch = self.replies.next_batch(MAX_MESSAGES) => match batch {
                    Some(batch) => messages.extend(batch),
                    None => return Ok(()),
                },
                batch = self.commands.next_batch(MAX_MESSAGES) => match batch {
                    Some(batch) => messages.extend(batch),
                    None => return Ok(()),
                },
                Some(timed) = self.internal.recv() => self.take_timed(&mut inbox, timed),
            }
            self.take_waiting(&mut messages);
            if !inbox.read(&self.worker, &messages).await {
                return Ok(());
            }
            if written >= BUSY && inbox.len() < ENOUGH {
                tokio::time::sleep(LINGER).await;
                let read = messages.len();
                self.take_waiting(&mut messages);
                if !inbox.read(&self.worker, &messages[read..]).await {
                    return Ok(());
                }
            }
            written = inbox.len();
            failpoint::pass(Failpoint::OrchestratorBeforeWrite);
            if !self.settle(inbox).await {
                return Ok(());
            }
            // Acks overlap with the next batch, and need not wait for what is being published.
            tokio::task::spawn_local(async move { ack_all(&messages).await });
        }
    }

    fn take_timed(&mut self, inbox: &mut Inbox, first: Vec<Timed>) {
        let others = std::iter::from_fn(|| self.internal.try_recv().ok()).take(MAX_INTERNAL - 1);
        for Timed { saga_id, revision, event } in std::iter::once(first).chain(others).flatten() {
            self.cache.forget_older(saga_id, revision);
            inbox.events.push((saga_id, event));
        }
    }

    /// What the sources have waiting: one commit serves all of it.
    fn take_waiting(&mut self, messages: &mut Vec<Message>) {
        for source in [&mut self.replies, &mut self.commands] {
            if let Some(Some(batch)) = source.next_batch(MAX_MESSAGES).now_or_never() {
                messages.extend(batch);
            }
        }
    }

    /// Works until everything is written, and publishes each part as soon as that is: participants need not wait for the
    /// rest. False when shutdown came first: it will all come again.
    ///
    /// Starts come first: a signal or a reply may belong to a saga of the same batch.
    async fn settle(&mut self, inbox: Inbox) -> bool {
        let Self { worker, advance, cache, .. } = self;
        for start in &inbox.starts {
            if advance.definitions.newest(&start.definition).is_none() && !park_unknown_start(worker, start).await {
                return false;
            }
        }
        for starts in inbox.starts.chunks(MAX_EVENTS) {
            let Some(begun) = until_done(worker, async || advance.start(cache, starts).await).await else {
                return false;
            };
            publish_soon(worker, begun.outgoing);
            for start in starts.iter().filter(|start| begun.past.contains(&start.saga_id)) {
                if !park_past_start(worker, start).await {
                    return false;
                }
            }
        }
        for events in inbox.events.chunks(MAX_EVENTS) {
            let Some(advanced) = until_done(worker, async || advance.apply(cache, events).await).await else {
                return false;
            };
            publish_soon(worker, advanced.outgoing);
            for ((saga_id, event), verdict) in events.iter().zip(&advanced.verdicts) {
                if !park_if_senseless(worker, *saga_id, event, verdict.as_ref()).await {
                    return false;
                }
            }
        }
        true
    }
}

/// Publishes what follows from a commit, beside whatever comes next.
fn publish_soon(worker: &Worker, outgoing: Outgoing) {
    failpoint::pass(Failpoint::OrchestratorAfterCommit);
    let bus = worker.bus.clone();
    tokio::task::spawn_local(async move {
        outgoing.publish(&bus).await;
        failpoint::pass(Failpoint::OrchestratorAfterPublish);
    });
}

/// Parks a start of a definition that this replica does not have. False when shutdown came first.
async fn park_unknown_start(worker: &Worker, start: &StartSaga) -> bool {
    let reason = format!("there is no definition `{}`, which saga {} is to run", start.definition, start.saga_id);
    park_start(worker, start, reason).await
}

/// Parks a start of a saga that may have run, ended and gone. False when shutdown came first.
async fn park_past_start(worker: &Worker, start: &StartSaga) -> bool {
    let reason = format!("saga {} is older than sagas are kept, and may have run: it was not started", start.saga_id);
    park_start(worker, start, reason).await
}

async fn park_start(worker: &Worker, start: &StartSaga, reason: String) -> bool {
    let payload = serde_json::to_vec(start).unwrap_or_else(|error| error.to_string().into_bytes());
    let letter = DeadLetter { subject: &subject::command(START_SAGA), payload: &payload, reason, deliveries: 1 };
    dead_letter::park(&worker.db, &worker.shutdown, letter).await
}

/// Parks a reply that no saga, or no step of its saga, has asked for. False when shutdown came first.
async fn park_if_senseless(worker: &Worker, saga_id: Uuid, event: &Event, verdict: Option<&Verdict>) -> bool {
    let Event::Replied { step, .. } = event else { return true };
    let reason = match verdict {
        None => format!("a reply to step `{step}` of saga {saga_id}, which does not exist"),
        Some(Verdict::Unexpected(why)) => format!("a reply to saga {saga_id}: {why}"),
        Some(Verdict::Moved | Verdict::Ignored | Verdict::Conflict(_) | Verdict::Refused(_)) => return true,
    };
    let payload = serde_json::to_vec(event).unwrap_or_else(|error| error.to_string().into_bytes());
    let letter = DeadLetter { subject: subject::REPLY_SUBJECTS, payload: &payload, reason, deliveries: 1 };
    dead_letter::park(&worker.db, &worker.shutdown, letter).await
}

/// Repeats what the database would not do, until it does. None when shutdown came first.
async fn until_done<T>(worker: &Worker, mut work: impl AsyncFnMut() -> anyhow::Result<T>) -> Option<T> {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
    loop {
        match work().await {
            Ok(done) => return Some(done),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "sagas could not be moved; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = worker.shutdown.token.cancelled() => return None,
        }
    }
}
