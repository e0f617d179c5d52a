//! The hot loop: what has happened in, one pure transition each, one statement for all, the next commands out.
//!
//! Order is the promise: the write commits, then commands are published and messages acked. Dying in between loses
//! nothing: a message that was not acked comes again and finds the saga moved; a command that was not published is sent
//! again at its deadline or by [`crate::recovery`], whichever comes first.

mod advance;
mod unplaceable;

use std::{collections::HashSet, time::Duration};

use futures::FutureExt as _;
use makegood_chassis::failpoint::{self, Failpoint};
use makegood_contracts::{orchestrator::StartSaga, subject};
use makegood_messaging::{
    at_hand::AtHand,
    backoff::Backoff,
    consumer::{Consumer, Message, ack_all},
    lasting::halve,
    worker::Worker,
};
use makegood_saga::event::Event;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use uuid::Uuid;

#[cfg(test)]
pub(crate) use advance::Begun;
pub(crate) use advance::{Advance, Advanced, LostEveryRace, Working};

use unplaceable::{park_if_senseless, park_refused, park_start, past, startable};

use crate::{
    definitions::{self, Definitions},
    due_sagas,
    inbox::Inbox,
    lasting::is_lasting,
    outgoing::Outgoing,
    recovery,
    saga_cache::SagaCache,
};

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
/// What follows from the last rounds may take so long at shutdown; a bus that is away must not keep the process from ending.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Deadlines and recoveries that wait for the loop.
const INTERNAL_QUEUE: usize = 64;
/// Of those, taken in one round. After a restart under load a round has thousands of replies, and with one each the recovery
/// would take as many rounds; with all of them replies would wait for seconds.
const MAX_INTERNAL: usize = 8;

/// Runs until shutdown.
pub(crate) async fn run(worker: Worker, definitions: Definitions) -> anyhow::Result<()> {
    let (internal, waiting) = mpsc::channel(INTERNAL_QUEUE);
    let (recovered, recoveries) = watch::channel(0);
    let driver = Driver::new(worker.clone(), definitions, waiting);
    tokio::try_join!(
        driver.run(),
        due_sagas::find(worker.clone(), internal.clone(), recoveries),
        recovery::recover(worker, internal, recovered),
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
    /// Publishing and acking of what is written, beside the rounds.
    telling: JoinSet<()>,
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
            telling: JoinSet::new(),
            worker,
        }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let driven = self.drive().await;
        // What is durable is told before the process ends: otherwise each of these sagas would wait for its deadline.
        if tokio::time::timeout(LAST_WORDS, async { while self.telling.join_next().await.is_some() {} }).await.is_err()
        {
            tracing::warn!(
                messages = self.telling.len(),
                "what was written last could not be told; it is at its deadline"
            );
        }
        driven
    }

    async fn drive(&mut self) -> anyhow::Result<()> {
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
            self.telling.spawn_local(async move { ack_all(&messages).await });
            while self.telling.try_join_next().is_some() {}
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
    /// Starts come first: a signal or a reply may belong to a saga of the same batch. What the database refuses is halved until
    /// the one that it refuses stands alone, and is parked: no message holds up all sagas.
    async fn settle(&mut self, inbox: Inbox) -> bool {
        let Self { worker, advance, cache, telling, .. } = self;
        if !know_all_named(worker, &mut advance.definitions, &inbox.starts).await {
            return false;
        }
        let mut unstarted = HashSet::new();
        let Some(starts) = startable(worker, &advance.definitions, inbox.starts, &mut unstarted).await else {
            return false;
        };
        let mut parts = parts_of(&starts);
        while let Some(part) = parts.pop() {
            match until_done(worker, async || advance.start(cache, part).await).await {
                Settled::Done(begun) => {
                    publish_soon(telling, worker, begun.outgoing);
                    for start in part.iter().filter(|start| begun.past.contains(&start.saga_id)) {
                        if !park_start(worker, start, past(start)).await {
                            return false;
                        }
                    }
                }
                Settled::Refused(why) => match part {
                    [start] => {
                        unstarted.insert(start.saga_id);
                        if !park_start(worker, start, why).await {
                            return false;
                        }
                    }
                    _ => halve(&mut parts, part),
                },
                Settled::Shutdown => return false,
            }
        }
        let mut parts = parts_of(&inbox.events);
        while let Some(part) = parts.pop() {
            let applied = until_done(worker, async || {
                let mut advanced = Advanced::default();
                let applied = advance.apply(cache, part, &mut advanced).await;
                // Also when a later round of it failed: what an earlier one wrote is durable.
                publish_soon(telling, worker, std::mem::take(&mut advanced.outgoing));
                applied.map(|()| advanced.verdicts)
            });
            match applied.await {
                Settled::Done(verdicts) => {
                    for ((saga_id, event), verdict) in part.iter().zip(&verdicts) {
                        if !park_if_senseless(worker, *saga_id, event, verdict.as_ref(), &unstarted).await {
                            return false;
                        }
                    }
                }
                Settled::Refused(why) => match part {
                    [(saga_id, event)] => {
                        if !park_refused(worker, *saga_id, event, &why).await {
                            return false;
                        }
                    }
                    _ => halve(&mut parts, part),
                },
                Settled::Shutdown => return false,
            }
        }
        true
    }
}

/// Reads the stored definitions anew where a start names one that is not known: a replica of the next release has brought it. False when
/// shutdown came first.
async fn know_all_named(worker: &Worker, definitions: &mut Definitions, starts: &[StartSaga]) -> bool {
    if starts.iter().all(|start| definitions.newest(&start.definition).is_some()) {
        return true;
    }
    match until_done(worker, async || definitions::stored(&worker.db).await).await {
        Settled::Done(stored) => *definitions = stored,
        Settled::Refused(why) => tracing::error!(why, "the stored definitions cannot be read; those at hand stay"),
        Settled::Shutdown => return false,
    }
    true
}

/// Parts of what was read, the first one last: they are taken from the end.
fn parts_of<T>(all: &[T]) -> Vec<&[T]> {
    all.chunks(MAX_EVENTS).rev().collect()
}

/// Publishes what follows from a commit, beside whatever comes next.
fn publish_soon(telling: &mut JoinSet<()>, worker: &Worker, outgoing: Outgoing) {
    failpoint::pass(Failpoint::OrchestratorAfterCommit);
    let bus = worker.bus.clone();
    telling.spawn_local(async move {
        outgoing.publish(&bus).await;
        failpoint::pass(Failpoint::OrchestratorAfterPublish);
    });
}

/// What came of working until the database does it.
enum Settled<T> {
    Done(T),
    /// It never will, and why.
    Refused(String),
    Shutdown,
}

/// Repeats what the database would not do, until it does or says that it never will.
async fn until_done<T>(worker: &Worker, mut work: impl AsyncFnMut() -> anyhow::Result<T>) -> Settled<T> {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
    loop {
        match work().await {
            Ok(done) => return Settled::Done(done),
            Err(error) if is_lasting(&error) => return Settled::Refused(format!("{error:#}")),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "sagas could not be moved; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = worker.shutdown.token.cancelled() => return Settled::Shutdown,
        }
    }
}
