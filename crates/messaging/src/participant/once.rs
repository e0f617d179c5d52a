//! Running a batch once: effect and outcome in one transaction, and what to do when that does not work.

use std::time::Duration;

use futures::future::{FutureExt as _, LocalBoxFuture};
use makegood_chassis::failpoint::{self, Failpoint};
use makegood_contracts::{command::StepKey, reply::Outcome};
use serde::de::DeserializeOwned;
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;

use super::{
    Answered, Desk, Job, Verb,
    delivery::{Answer, Delivery, Inputs, answer_job, read_inputs},
};
use crate::{
    backoff::Backoff,
    barrier::{self, AlreadyDecided},
    dead_letter::{self, DeadLetter},
    lasting::is_lasting,
};

/// For so long a batch is tried by a process that has nothing against it; then its place goes to others, and its messages come again. Most have
/// been sent anew by then, and what has passed its deadline is let go where it is read.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between attempts to read what is decided already.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Action,
    /// An action that is one statement, barrier and all.
    Statement,
    Undo,
}

/// A verb whose effect is local: it lives and dies with one transaction.
pub(super) struct Once<I, F> {
    verb: &'static str,
    kind: Kind,
    handler: F,
    input: std::marker::PhantomData<fn() -> I>,
}

/// Why a batch did not commit.
enum Setback {
    /// Another transaction decided a key: answer those, run the rest.
    Decided,
    /// The database is away or chose us as a victim: the same batch again, later.
    Transient(anyhow::Error),
    /// Something in the batch cannot be done: find the culprit.
    Defect(anyhow::Error),
}

impl<I, F> Once<I, F>
where
    I: DeserializeOwned + 'static,
    F: AsyncFn(&mut PgConnection, &[Job<I>]) -> anyhow::Result<Vec<Outcome>> + 'static,
{
    pub(super) fn new(verb: &'static str, kind: Kind, handler: F) -> Self {
        Self { verb, kind, handler, input: std::marker::PhantomData }
    }

    /// Works until every job is answered. Gives up at shutdown, and when the database would not for long.
    async fn settle(&self, desk: &Desk, jobs: Vec<Job<I>>) -> Answered {
        let mut answers = Vec::with_capacity(jobs.len());
        let mut batches = vec![jobs];
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let began = Instant::now();
        while let Some(mut jobs) = batches.pop() {
            if jobs.is_empty() {
                continue;
            }
            match self.attempt(desk, &jobs).await {
                Ok(outcomes) => {
                    answers.extend(jobs.into_iter().zip(outcomes).map(|(job, outcome)| answer_job(job, outcome)));
                    backoff.reset();
                }
                Err(Setback::Decided) => batches.push(self.answer_decided(desk, jobs, &mut answers).await),
                Err(Setback::Transient(error)) => {
                    tracing::warn!(verb = self.verb, error = format!("{error:#}"), "batch will be tried again");
                    if began.elapsed() >= PATIENCE {
                        return Answered { answers, is_complete: false };
                    }
                    tokio::select! {
                        () = tokio::time::sleep(backoff.next_delay()) => batches.push(jobs),
                        () = desk.worker.shutdown.token.cancelled() => return Answered { answers, is_complete: false },
                    }
                }
                Err(Setback::Defect(_)) if jobs.len() > 1 => {
                    let rest = jobs.split_off(jobs.len() / 2);
                    batches.extend([rest, jobs]);
                }
                Err(Setback::Defect(error)) => {
                    if !self.park(desk, jobs, error, &mut answers).await {
                        return Answered { answers, is_complete: false };
                    }
                }
            }
        }
        Answered { answers, is_complete: true }
    }

    /// One transaction: tombstones, effects, outcomes, commit.
    async fn attempt(&self, desk: &Desk, jobs: &[Job<I>]) -> Result<Vec<Outcome>, Setback> {
        let mut connection = desk.connections.take().await.map_err(|error| sort(error.into()))?;
        failpoint::pass(Failpoint::ParticipantBeforeEffect);
        let outcomes = match self.kind {
            Kind::Statement => self.handle(&mut connection, jobs).await.map_err(sort)?,
            Kind::Action | Kind::Undo => self.attempt_transaction(&mut connection, jobs).await?,
        };
        desk.connections.keep(connection);
        Ok(outcomes)
    }

    async fn attempt_transaction(
        &self,
        connection: &mut PgConnection,
        jobs: &[Job<I>],
    ) -> Result<Vec<Outcome>, Setback> {
        let mut tx = connection.begin().await.map_err(|error| sort(error.into()))?;
        let outcomes = match self.run(&mut tx, jobs).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // Rolling back at once frees the locks; should it fail, the connection is closed and rolls back itself.
                if let Err(rollback) = tx.rollback().await {
                    tracing::debug!(%rollback, "rollback failed");
                }
                return Err(sort(error));
            }
        };
        failpoint::pass(Failpoint::ParticipantBeforeCommit);
        tx.commit().await.map_err(|error| sort(error.into()))?;
        Ok(outcomes)
    }

    async fn handle(&self, connection: &mut PgConnection, jobs: &[Job<I>]) -> anyhow::Result<Vec<Outcome>> {
        let outcomes = (self.handler)(connection, jobs).await?;
        anyhow::ensure!(
            outcomes.len() == jobs.len(),
            "{} answered {} of {} jobs",
            self.verb,
            outcomes.len(),
            jobs.len()
        );
        Ok(outcomes)
    }

    async fn run(&self, tx: &mut PgConnection, jobs: &[Job<I>]) -> anyhow::Result<Vec<Outcome>> {
        let keys: Vec<&StepKey> = jobs.iter().map(|job| &job.key).collect();
        let outcomes = match self.kind {
            Kind::Action | Kind::Statement => self.handle(tx, jobs).await?,
            Kind::Undo => {
                let was_here = barrier::entomb(tx, &keys).await?;
                if was_here.iter().all(|here| *here) {
                    self.handle(tx, jobs).await?
                } else {
                    self.undo_some(tx, jobs, &was_here).await?
                }
            }
        };
        let decided: Vec<_> = keys.into_iter().zip(&outcomes).collect();
        barrier::record_first(tx, &decided).await?;
        Ok(outcomes)
    }

    /// Undoes what was done; what never came is made good by its tombstone.
    async fn undo_some(
        &self,
        tx: &mut PgConnection,
        jobs: &[Job<I>],
        was_here: &[bool],
    ) -> anyhow::Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        // Job by job: null compensations are rare, and jobs need not be cloneable for it.
        for (job, here) in jobs.iter().zip(was_here) {
            if *here {
                outcomes.extend(self.handle(tx, std::slice::from_ref(job)).await?);
            } else {
                outcomes.push(Outcome::done());
            }
        }
        Ok(outcomes)
    }

    /// Answers what the barrier knows; returns what is left to run.
    async fn answer_decided(&self, desk: &Desk, jobs: Vec<Job<I>>, answers: &mut Vec<Answer>) -> Vec<Job<I>> {
        let keys: Vec<&StepKey> = jobs.iter().map(|job| &job.key).collect();
        let known = match desk.connections.take().await {
            Ok(mut connection) => barrier::outcomes(&mut connection, &keys).await,
            Err(error) => Err(error),
        };
        let known = match known {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%error, "the barrier could not be read; trying again");
                // What lasts must not be tried as fast as it fails.
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                return jobs;
            }
        };
        let mut rest = Vec::new();
        for (job, outcome) in jobs.into_iter().zip(known) {
            match outcome {
                Some(outcome) => answers.push(answer_job(job, outcome)),
                None => rest.push(job),
            }
        }
        rest
    }

    /// The culprit stands alone: park it with its reason. A duplicate's handler may have stumbled over its own earlier
    /// effect, so the barrier is asked first. False when shutdown came first.
    async fn park(&self, desk: &Desk, jobs: Vec<Job<I>>, error: anyhow::Error, answers: &mut Vec<Answer>) -> bool {
        for job in self.answer_decided(desk, jobs, answers).await {
            let reason = format!("{} failed on {}: {error:#}", self.verb, job.key);
            let key = job.key.to_string();
            let deliveries = i64::from(job.attempt);
            let letter = DeadLetter { subject: self.verb, payload: key.as_bytes(), reason: reason.clone(), deliveries };
            if !dead_letter::park(&desk.worker.db, &desk.worker.shutdown, letter).await {
                return false;
            }
            answers.push(answer_job(job, Outcome::defect(reason)));
        }
        true
    }
}

/// Sorts an error by what helps against it.
fn sort(error: anyhow::Error) -> Setback {
    if error.is::<AlreadyDecided>() {
        return Setback::Decided;
    }
    if is_lasting(&error) { Setback::Defect(error) } else { Setback::Transient(error) }
}

impl<I, F> Verb for Once<I, F>
where
    I: DeserializeOwned + 'static,
    F: AsyncFn(&mut PgConnection, &[Job<I>]) -> anyhow::Result<Vec<Outcome>> + 'static,
{
    fn answer<'a>(&'a self, desk: &'a Desk, deliveries: Vec<Delivery>) -> LocalBoxFuture<'a, Answered> {
        async move {
            let Inputs { jobs, mut unreadable, is_complete } = read_inputs(&desk.worker, deliveries).await;
            let settled = self.settle(desk, jobs).await;
            unreadable.extend(settled.answers);
            Answered { answers: unreadable, is_complete: is_complete && settled.is_complete }
        }
        .boxed_local()
    }

    fn is_call(&self) -> bool {
        false
    }
}
