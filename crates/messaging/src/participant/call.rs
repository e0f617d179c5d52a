//! A verb that calls the outside: its handler makes its own transactions around the call.

use std::time::Duration;

use futures::future::{FutureExt as _, LocalBoxFuture};
use makegood_contracts::{command::StepKey, reply::Outcome};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    Answered, Desk, Job, Verb,
    delivery::{Answer, Delivery, Inputs, answer_job, read_inputs},
};
use crate::{backoff::Backoff, barrier, lasting::is_lasting};

/// Enough for each dead connection at hand and in the pool; a step has ten times as long to answer.
const LOOK_FOR: Duration = Duration::from_secs(3);

pub(super) struct Call<I, F> {
    verb: &'static str,
    handler: F,
    input: std::marker::PhantomData<fn() -> I>,
}

impl<I, F> Call<I, F>
where
    I: DeserializeOwned + 'static,
    F: AsyncFn(&[Job<I>]) -> anyhow::Result<Vec<Outcome>> + 'static,
{
    pub(super) fn new(verb: &'static str, handler: F) -> Self {
        Self { verb, handler, input: std::marker::PhantomData }
    }

    /// Answers what the barrier knows and calls for the rest. An error answers "try again": whether the outside did
    /// anything is then found out under the same key by the next attempt.
    async fn settle(&self, desk: &Desk, jobs: Vec<Job<I>>) -> anyhow::Result<Vec<Answer>> {
        let keys: Vec<&StepKey> = jobs.iter().map(|job| &job.key).collect();
        let known = known(desk, &keys).await?;
        let mut answers = Vec::with_capacity(jobs.len());
        let mut open = Vec::with_capacity(jobs.len());
        for (job, outcome) in jobs.into_iter().zip(known) {
            match outcome {
                Some(outcome) => answers.push(answer_job(job, outcome)),
                None => open.push(job),
            }
        }
        if open.is_empty() {
            return Ok(answers);
        }
        let outcomes = match (self.handler)(&open).await {
            Ok(outcomes) if outcomes.len() == open.len() => outcomes,
            Ok(outcomes) => {
                let defect = format!("{} answered {} of {} jobs", self.verb, outcomes.len(), open.len());
                tracing::error!(verb = self.verb, defect);
                open.iter().map(|_| Outcome::defect(&*defect)).collect()
            }
            Err(error) => {
                tracing::warn!(
                    verb = self.verb,
                    error = format!("{error:#}"),
                    "calls failed; they will be asked for again"
                );
                open.iter().map(|_| Outcome::retry(format!("{error:#}"))).collect()
            }
        };
        answers.extend(open.into_iter().zip(outcomes).map(|(job, outcome)| answer_job(job, outcome)));
        Ok(answers)
    }
}

/// What the barrier knows of each. After a restart of PostgreSQL the connections at hand are dead, one after the other: without another try
/// their commands would wait for their deadlines.
async fn known(desk: &Desk, keys: &[&StepKey]) -> anyhow::Result<Vec<Option<Outcome>>> {
    let look = async || {
        let mut connection = desk.connections.take().await?;
        let known = barrier::outcomes(&mut connection, keys).await?;
        desk.connections.keep(connection);
        anyhow::Ok(known)
    };
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
    let began = Instant::now();
    loop {
        match look().await {
            Ok(known) => return Ok(known),
            Err(error) if began.elapsed() >= LOOK_FOR || desk.worker.shutdown.has_begun() || is_lasting(&error) => {
                return Err(error);
            }
            Err(error) => tracing::debug!(error = format!("{error:#}"), "the barrier could not be read; trying again"),
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

impl<I, F> Verb for Call<I, F>
where
    I: DeserializeOwned + 'static,
    F: AsyncFn(&[Job<I>]) -> anyhow::Result<Vec<Outcome>> + 'static,
{
    fn answer<'a>(&'a self, desk: &'a Desk, deliveries: Vec<Delivery>) -> LocalBoxFuture<'a, Answered> {
        async move {
            let Inputs { jobs, unreadable: mut answers, mut is_complete } = read_inputs(&desk.worker, deliveries).await;
            match self.settle(desk, jobs).await {
                Ok(settled) => answers.extend(settled),
                // The orchestrator asks again at the step's deadline; the message comes again, whichever is first.
                Err(error) => {
                    tracing::warn!(verb = self.verb, error = format!("{error:#}"), "the barrier could not be read");
                    is_complete = false;
                }
            }
            Answered { answers, is_complete }
        }
        .boxed_local()
    }

    fn is_call(&self) -> bool {
        true
    }
}
