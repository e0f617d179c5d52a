//! Brings a batch of steps through the three phases: begun in one transaction, carried out at the provider with no
//! transaction open, settled in one transaction.

use makegood_chassis::failpoint::{self, Failpoint};
use makegood_contracts::{command::StepKey, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgPool;

use crate::{
    config::Config,
    ledger::accounts::KnownAccounts,
    operation::State,
    provider::{Errand, Provider},
    settlement::settle,
    store::Pair,
};

/// What a step's command came to before the provider was spoken to.
#[derive(Debug)]
pub enum Begun {
    /// There is nothing to be asked of the provider.
    Decided(Outcome),
    Errand(Box<Errand>),
}

impl Begun {
    /// Goes on with an operation that is stored; `is_new` if it was stored just now and so cannot have been sent yet.
    pub fn resume((operation, intent): Pair, is_new: bool) -> anyhow::Result<Self> {
        match operation.state {
            State::Succeeded | State::Declined => Ok(Self::Decided(operation.outcome(&intent)?)),
            State::Started | State::Unknown | State::ActionRequired => {
                Ok(Self::Errand(Box::new(Errand { operation, intent, ask_first: !is_new })))
            }
        }
    }
}

/// What the commands and the inquiry work with.
pub struct Cashier {
    pub db: PgPool,
    pub provider: Provider,
    pub accounts: KnownAccounts,
    pub inquire_after_seconds: f64,
}

impl Cashier {
    pub fn new(db: PgPool, config: &Config) -> anyhow::Result<Self> {
        let inquire_after_seconds = config.inquire_after_seconds.into();
        Ok(Self { db, provider: Provider::new(config)?, accounts: KnownAccounts::default(), inquire_after_seconds })
    }

    /// Carries out what was begun and makes its outcomes durable; one per job, in order.
    pub async fn finish<I>(&self, jobs: &[Job<I>], begun: Vec<Begun>) -> anyhow::Result<Vec<Outcome>> {
        let mut errands = Vec::new();
        let mut decided: Vec<(&StepKey, Outcome)> = Vec::new();
        let mut is_errand = Vec::with_capacity(jobs.len());
        for (job, begun) in jobs.iter().zip(begun) {
            is_errand.push(matches!(begun, Begun::Errand(_)));
            match begun {
                Begun::Decided(outcome) => decided.push((&job.key, outcome)),
                Begun::Errand(errand) => errands.push(*errand),
            }
        }
        failpoint::pass(Failpoint::PaymentBeforeCall);
        let verdicts = self.provider.carry_out(errands).await;
        failpoint::pass(Failpoint::PaymentAfterCall);
        let (settled, decided) = settle(&self.db, verdicts, &decided).await?;
        let mut settled = settled.into_iter().map(|settled| settled.outcome);
        let mut decided = decided.into_iter();
        let next = |is_errand: bool| if is_errand { settled.next() } else { decided.next() };
        Ok(is_errand.into_iter().filter_map(next).collect())
    }
}

/// The addresses of jobs' steps, as columns for `unnest`.
#[derive(Debug, Default)]
pub struct Askers<'a> {
    pub sagas: Vec<uuid::Uuid>,
    pub steps: Vec<&'a str>,
    pub directions: Vec<&'static str>,
    pub reply_tos: Vec<&'a str>,
    pub attempts: Vec<i32>,
}

impl<'a> Askers<'a> {
    pub fn of<I>(jobs: impl Iterator<Item = &'a Job<I>>) -> Self
    where
        I: 'a,
    {
        let mut askers = Self::default();
        for job in jobs {
            askers.sagas.push(job.key.saga_id);
            askers.steps.push(&job.key.step);
            askers.directions.push(job.key.direction.as_str());
            askers.reply_tos.push(&job.reply_to);
            askers.attempts.push(i32::try_from(job.attempt).unwrap_or(i32::MAX));
        }
        askers
    }
}
