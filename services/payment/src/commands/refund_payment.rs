//! Gives money back: what the step asks for, or what is left where an operator has given back a part before. It is reserved first, so
//! that two refunds at once cannot give back more than was captured.

use anyhow::Context as _;
use makegood_contracts::{
    money::Money,
    payment::{RefundPayment, RefundedPayment},
    reply::Outcome,
};
use makegood_messaging::participant::Job;

use crate::{
    cashier::{Begun, Cashier},
    operation::{Asker, id_of_step},
    refund::{AllBack, Started, Wanted, start},
    settlement::is_lost_race,
};

/// Tries before refunds that keep losing races are given back to their sender.
const MAX_TRIES: u32 = 3;

pub async fn handle(cashier: &Cashier, jobs: &[Job<RefundPayment>]) -> anyhow::Result<Vec<Outcome>> {
    let wanted: Vec<Wanted> = jobs.iter().map(wanted).collect();
    let mut lost_races = 0;
    let started = loop {
        match try_start(cashier, &wanted).await {
            Ok(started) => break started,
            Err(error) if lost_races < MAX_TRIES && is_lost_race(&error) => lost_races += 1,
            Err(error) => return Err(error),
        }
    };
    let begun = started.into_iter().map(begun).collect::<anyhow::Result<_>>()?;
    cashier.finish(jobs, begun).await
}

fn wanted(job: &Job<RefundPayment>) -> Wanted {
    Wanted {
        operation_id: id_of_step(&job.key),
        intent_id: job.input.payment_intent_id.unwrap_or(job.key.saga_id),
        refund_id: job.input.refund_id,
        amount: Some(job.input.amount),
        reason: job.input.reason.clone(),
        asker: Some(Asker { key: job.key.clone(), reply_to: job.reply_to.clone(), attempt: job.attempt }),
    }
}

async fn try_start(cashier: &Cashier, wanted: &[Wanted]) -> anyhow::Result<Vec<Started>> {
    let mut tx = cashier.db.begin().await?;
    let started = start(&mut tx, wanted, cashier.inquire_after_seconds).await?;
    tx.commit().await?;
    Ok(started)
}

fn begun(started: Started) -> anyhow::Result<Begun> {
    match started {
        Started::New(pair) => Begun::resume(*pair, true),
        Started::Before(pair) => Begun::resume(*pair, false),
        Started::Refused { code, detail } => Ok(Begun::Decided(Outcome::refused(code, detail))),
        Started::Waits => Ok(Begun::Decided(Outcome::retry("another refund of the payment is not decided yet"))),
        Started::AllBack(all_back) => Ok(Begun::Decided(Outcome::Done { output: nothing_more(all_back)? })),
    }
}

/// The money has gone back before: told is the refund that it went with, and that nothing went now.
fn nothing_more(AllBack { intent_id, currency, last_refund_id }: AllBack) -> anyhow::Result<serde_json::Value> {
    let refund_id = last_refund_id.with_context(|| format!("payment {intent_id} went back by no refund"))?;
    Ok(serde_json::to_value(RefundedPayment { refund_id, refunded: Money::from_columns(0, &currency)? })?)
}
