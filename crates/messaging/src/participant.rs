//! A service's commands: taken in batches, handled once each, answered, then acked.
//!
//! ```text
//! Participant::new("inventory", worker)
//!     .action("hold_stock", async move |tx: &mut PgConnection, jobs: &[Job<HoldStock>]| hold_stock(tx, jobs, ttl).await)
//!     .undo("release_stock", release_stock)
//!     .run().await
//! ```
//!
//! The order of things is the promise: the transaction commits, the replies are accepted by JetStream, the command
//! is acked. Dying between any two of them means a redelivery, which the barrier answers.

mod call;
mod delivery;
mod handled;
mod once;

use std::{collections::HashMap, rc::Rc, time::Duration};

use anyhow::Context as _;
use futures::future::LocalBoxFuture;
use makegood_chassis::failpoint::{self, Failpoint};
use makegood_contracts::{
    command::StepKey,
    reply::{Outcome, Reply},
    subject,
};
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use crate::{
    at_hand::AtHand,
    backoff::Backoff,
    consumer::{Consumer, Message, ack_all},
    worker::Worker,
};
use delivery::{Answer, Delivery};
use handled::Handling;

/// Messages taken at once; each may carry many commands.
const MAX_MESSAGES: usize = 64;
/// Batches of one verb in their transactions at once. Under load sagas travel in trains, and with one lane a train that
/// catches up with the one before it waits for it, and both go on as one; so one of two cores is idle (docs/performance.md).
const LANES: usize = 2;
/// Messages that wait for the same verb become one batch up to this size: some forty commands, which share a transaction's
/// fixed cost well. Larger messages, a train each, stay apart.
const SMALL_BATCH_BYTES: usize = 16 * 1024;
/// Messages that wait for a lane. While the database is away JetStream delivers what was not acked anew, every half minute: without an end
/// to it, the same messages would fill the memory. As many as there are unacked ones in regular times (`MAX_ACK_PENDING`).
const MAX_WAITING: usize = 1_024;
/// Batches under way at once, those whose replies are being published included: bounds what a crash would redeliver.
const MAX_REPLYING: usize = 16;
/// Batches of a calling verb under way at once: bounds the load on the outside.
const MAX_CALLING: usize = 32;

/// An outcome may be as large as a saga's whole context (docs/saga-language.md), which would refuse more.
const MAX_OUTCOME_BYTES: usize = 256 * 1024;

/// One command with its input read.
#[derive(Debug, Clone)]
pub struct Job<T> {
    pub key: StepKey,
    pub attempt: u32,
    pub traceparent: Option<String>,
    pub reply_to: String,
    pub input: T,
}

/// What the verbs of a participant work with.
struct Desk {
    worker: Worker,
    connections: AtHand,
    after_commit: Option<AfterCommit>,
}

type AfterCommit = Box<dyn Fn(Vec<Uuid>)>;

/// What came of a batch.
struct Answered {
    answers: Vec<Answer>,
    /// Otherwise shutdown, or a database that is away, came first, and the messages must come again.
    is_complete: bool,
}

/// How a verb's deliveries become answers. Erases the input's type.
trait Verb {
    fn answer<'a>(&'a self, desk: &'a Desk, deliveries: Vec<Delivery>) -> LocalBoxFuture<'a, Answered>;
    /// Whether it may run beside other verbs, because it waits for the outside.
    fn is_call(&self) -> bool;
}

/// The commands of one service.
pub struct Participant {
    service: &'static str,
    worker: Worker,
    verbs: HashMap<&'static str, Rc<dyn Verb>>,
    after_commit: Option<AfterCommit>,
}

impl Participant {
    pub fn new(service: &'static str, worker: Worker) -> Self {
        Self { service, worker, verbs: HashMap::new(), after_commit: None }
    }

    /// A step's action. The handler runs in a transaction in which none of the jobs has been done before; it returns
    /// one outcome per job, in order. Refusals are outcomes; an `Err` rolls the whole batch back (it is retried, then
    /// split). A batch holds at most one command per saga and step.
    pub fn action<I, F>(mut self, verb: &'static str, handler: F) -> Self
    where
        I: DeserializeOwned + 'static,
        F: AsyncFn(&mut PgConnection, &[Job<I>]) -> anyhow::Result<Vec<Outcome>> + 'static,
    {
        self.verbs.insert(verb, Rc::new(once::Once::new(verb, once::Kind::Action, handler)));
        self
    }

    /// A step's action whose handler runs one statement in no transaction, with the barrier's rows in it
    /// ([`crate::barrier::statement`]): effect and outcome are one round trip, where a transaction takes four. It can decide nothing
    /// by what it reads, so its outcomes must be known before.
    pub fn statement<I, F>(mut self, verb: &'static str, handler: F) -> Self
    where
        I: DeserializeOwned + 'static,
        F: AsyncFn(&mut PgConnection, &[Job<I>]) -> anyhow::Result<Vec<Outcome>> + 'static,
    {
        self.verbs.insert(verb, Rc::new(once::Once::new(verb, once::Kind::Statement, handler)));
        self
    }

    /// A step's undo. The handler gets only jobs whose action may have taken effect; the others are answered as done
    /// (null compensation) and leave a tombstone that refuses the late action.
    pub fn undo<I, F>(mut self, verb: &'static str, handler: F) -> Self
    where
        I: DeserializeOwned + 'static,
        F: AsyncFn(&mut PgConnection, &[Job<I>]) -> anyhow::Result<Vec<Outcome>> + 'static,
    {
        self.verbs.insert(verb, Rc::new(once::Once::new(verb, once::Kind::Undo, handler)));
        self
    }

    /// A command, action or undo, whose handler calls the outside and so manages its own transactions. Runs on a task
    /// of its own, so slow calls do not hold up the loop. Jobs already decided are answered from the barrier and not
    /// passed in. It must make effect and outcome durable together before it returns them ([`crate::barrier::record`]),
    /// and an undo must leave its tombstones itself ([`crate::barrier::entomb`]).
    pub fn call<I, F>(mut self, verb: &'static str, handler: F) -> Self
    where
        I: DeserializeOwned + 'static,
        F: AsyncFn(&[Job<I>]) -> anyhow::Result<Vec<Outcome>> + 'static,
    {
        self.verbs.insert(verb, Rc::new(call::Call::new(verb, handler)));
        self
    }

    /// Calls `hook` with the sagas of each batch once all of it is settled and can be seen by all, those answered from the barrier
    /// included; the replies go out afterwards, so it must neither block nor fail. For hints to this process: whoever needs to know
    /// must find it in the database, since a process that dies here calls nobody.
    pub fn after_commit(mut self, hook: impl Fn(Vec<Uuid>) + 'static) -> Self {
        self.after_commit = Some(Box::new(hook));
        self
    }

    /// Consumes until shutdown; then stops pulling, finishes what runs, and returns.
    ///
    /// Each verb runs [`LANES`] batches at a time, beside the other verbs: what arrives for it meanwhile waits for a lane.
    pub async fn run(self) -> anyhow::Result<()> {
        let worker = self.worker.clone();
        let filter = vec![subject::commands_of(self.service)];
        let mut consumer =
            Consumer::new(&worker.bus, subject::COMMAND_STREAM, self.service, filter, worker.shutdown.clone());
        let replying = Rc::new(Semaphore::new(MAX_REPLYING));
        let calling = Rc::new(Semaphore::new(MAX_CALLING));
        let desk = Rc::new(Desk {
            connections: AtHand::new(worker.db.clone()),
            worker: worker.clone(),
            after_commit: self.after_commit,
        });
        let mut waiting: Vec<(String, Vec<Message>)> = Vec::new();
        let mut lanes: HashMap<String, usize> = HashMap::new();
        let (handled, mut when_handled) = mpsc::unbounded_channel();
        loop {
            let is_full = waiting.iter().map(|(_, group)| group.len()).sum::<usize>() >= MAX_WAITING;
            tokio::select! {
                () = worker.shutdown.token.cancelled(), if is_full => break,
                messages = consumer.next_batch(MAX_MESSAGES), if !is_full => match messages {
                    Some(messages) => by_subject(&mut waiting, messages),
                    None => break,
                },
                Some(subject) = when_handled.recv() => {
                    lanes.entry(subject).and_modify(|taken| *taken -= 1);
                }
            }
            while let Some((subject, messages)) = next_batch(&mut waiting, &lanes) {
                let verb = subject::verb_of(&subject).and_then(|verb| self.verbs.get(verb)).map(Rc::clone);
                let Some(verb) = verb else {
                    park_unknown(&worker, &subject, messages).await;
                    continue;
                };
                let permit = Permit::acquire(Rc::clone(if verb.is_call() { &calling } else { &replying })).await?;
                if !verb.is_call() {
                    *lanes.entry(subject.clone()).or_default() += 1;
                }
                // A task of its own: sqlx must not be dropped in the middle of a BEGIN, and this loop may be.
                let turn = Turn { subject, handled: handled.clone() };
                tokio::task::spawn_local(run_batch(Rc::clone(&desk), verb, turn, messages, permit));
            }
        }
        // Every permit back means that every batch has been answered or given up for redelivery.
        for (permits, count) in [(&replying, MAX_REPLYING), (&calling, MAX_CALLING)] {
            let all = u32::try_from(count).context("permit count")?;
            permits.acquire_many(all).await.context("waiting for the last replies")?.forget();
        }
        Ok(())
    }
}

/// A place among the batches under way; given back when dropped.
struct Permit(Rc<Semaphore>);

impl Permit {
    async fn acquire(semaphore: Rc<Semaphore>) -> anyhow::Result<Self> {
        semaphore.acquire().await.context("the semaphore is never closed")?.forget();
        Ok(Self(semaphore))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// A verb's turn: over when this is dropped, also by a panic, whose messages stay unacked and come again.
struct Turn {
    subject: String,
    handled: mpsc::UnboundedSender<String>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The loop may have ended meanwhile; then nobody waits for the turn.
        self.handled.send(std::mem::take(&mut self.subject)).ok();
    }
}

/// Adds messages to those that wait, by subject, in order of arrival.
fn by_subject(waiting: &mut Vec<(String, Vec<Message>)>, messages: Vec<Message>) {
    for message in messages {
        match waiting.iter_mut().find(|(subject, _)| subject == message.subject.as_str()) {
            Some((_, group)) => group.push(message),
            None => waiting.push((message.subject.to_string(), vec![message])),
        }
    }
}

/// Takes a batch for a verb that has a lane free.
fn next_batch(
    waiting: &mut Vec<(String, Vec<Message>)>,
    lanes: &HashMap<String, usize>,
) -> Option<(String, Vec<Message>)> {
    let is_free = |subject: &str| lanes.get(subject).is_none_or(|taken| *taken < LANES);
    let place = waiting.iter().position(|(subject, _)| is_free(subject))?;
    let (subject, group) = &mut waiting[place];
    let count = batch_length(group.iter().map(|message| message.payload.len()));
    let rest = group.split_off(count);
    if rest.is_empty() {
        return Some(waiting.swap_remove(place));
    }
    Some((subject.clone(), std::mem::replace(group, rest)))
}

/// How many of the messages that wait, by their sizes, make the next batch: one at least.
fn batch_length(sizes: impl Iterator<Item = usize>) -> usize {
    let totals = sizes.scan(0_usize, |total, size| {
        *total = total.saturating_add(size);
        Some(*total)
    });
    totals.take_while(|total| *total <= SMALL_BATCH_BYTES).count().max(1)
}

/// Runs one verb's batch, and says so when its transaction is over: publishing the replies overlaps with the next one.
async fn run_batch(desk: Rc<Desk>, verb: Rc<dyn Verb>, turn: Turn, messages: Vec<Message>, _permit: Permit) {
    let worker = &desk.worker;
    let handling = Handling::begin(&turn.subject);
    let answered = match delivery::decode(worker, &turn.subject, &messages).await {
        Some(deliveries) => verb.answer(&desk, deliveries).await,
        None => Answered { answers: Vec::new(), is_complete: false },
    };
    drop(turn);
    let Answered { answers, is_complete } = answered;
    if let Some(hook) = &desk.after_commit
        && !answers.is_empty()
    {
        hook(answers.iter().map(|answer| answer.reply.key.saga_id).collect());
    }
    handling.end(&answers);
    failpoint::pass(Failpoint::ParticipantBeforeReply);
    if send_replies(worker, answers).await && is_complete {
        failpoint::pass(Failpoint::ParticipantBeforeAck);
        ack_all(&messages).await;
    }
}

/// Publishes replies until JetStream has them all. False when shutdown came first: the commands will come again.
async fn send_replies(worker: &Worker, answers: Vec<Answer>) -> bool {
    let mut by_address: HashMap<String, Vec<Reply>> = HashMap::new();
    for Answer { reply_to, reply, traceparent: _ } in answers {
        by_address.entry(reply_to).or_default().push(reply);
    }
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    for (address, mut replies) in by_address {
        while let Err(error) = worker.bus.publish_all(&address, &replies).await {
            if replace_oversized(&mut replies) {
                continue;
            }
            tracing::warn!(error = format!("{error:#}"), "replies could not be published; trying again");
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = worker.shutdown.token.cancelled() => return false,
            }
        }
    }
    true
}

/// Makes a defect of each reply that is larger than any saga takes, since NATS may take it even less. Looked at only when a reply could
/// not be published. Whether there was one.
fn replace_oversized(replies: &mut [Reply]) -> bool {
    let mut found = false;
    for reply in replies {
        let bytes = serde_json::to_vec(&reply.outcome).map_or(0, |json| json.len());
        if bytes > MAX_OUTCOME_BYTES {
            tracing::error!(key = %reply.key, bytes, "an answer is too large to be sent, and becomes a failure");
            let told = format!("its answer has {bytes} bytes, and a saga takes {MAX_OUTCOME_BYTES} at most");
            reply.outcome = Outcome::defect(told);
            found = true;
        }
    }
    found
}

/// Parks messages that name no verb of this service, and acks them: they would never be understood.
async fn park_unknown(worker: &Worker, subject: &str, messages: Vec<Message>) {
    for message in messages {
        let letter = crate::dead_letter::DeadLetter {
            subject,
            payload: &message.payload,
            reason: "this service knows no such command".to_owned(),
            deliveries: delivery::count(&message),
        };
        if crate::dead_letter::park(&worker.db, &worker.shutdown, letter).await {
            ack_all(&[message]).await;
        }
    }
}

/// Publishes decisions made outside a command's handling (a provider's callback, a poll): the reply to an earlier
/// `Pending`. Each is the step's key, where it wants its reply, and the outcome, which the barrier must hold already.
pub async fn reply_later(worker: &Worker, replies: Vec<(StepKey, String, Outcome)>) -> anyhow::Result<()> {
    let mut by_address: HashMap<String, Vec<Reply>> = HashMap::new();
    for (key, reply_to, outcome) in replies {
        // Attempt 0: the answer belongs to no sending in particular.
        by_address.entry(reply_to).or_default().push(Reply { key, attempt: 0, outcome });
    }
    for (address, replies) in by_address {
        worker.bus.publish_all(&address, &replies).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_no_saga_would_take_becomes_a_defect() {
        let key = StepKey {
            saga_id: Uuid::nil(),
            step: "a".to_owned(),
            direction: makegood_contracts::command::Direction::Do,
        };
        let reply =
            |output: &str| Reply { key: key.clone(), attempt: 1, outcome: Outcome::Done { output: output.into() } };
        let mut replies = [reply("small"), reply(&"x".repeat(MAX_OUTCOME_BYTES))];
        assert!(replace_oversized(&mut replies));
        assert_eq!(replies[0], reply("small"));
        assert!(matches!(&replies[1].outcome, Outcome::Failed { retryable: false, .. }));
        assert!(!replace_oversized(&mut replies));
    }

    #[test]
    fn small_messages_make_one_batch_and_a_large_one_goes_alone() {
        let small = SMALL_BATCH_BYTES / 4;
        assert_eq!(batch_length([small; 3].into_iter()), 3);
        assert_eq!(batch_length([small; 9].into_iter()), 4);
        assert_eq!(batch_length([small, 3 * SMALL_BATCH_BYTES].into_iter()), 1);
        assert_eq!(batch_length([3 * SMALL_BATCH_BYTES, small].into_iter()), 1);
    }
}
