//! Refunds, with the payment service's own rule for what may still go back (`makegood_payment::refund::reserve`).

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_contracts::{
    money::Money,
    payment::{RefundPayment, RefundedPayment},
    reply::Outcome,
};
use makegood_payment::{
    intent, ledger,
    operation::{Asker, Kind, State, id_of_refund, id_of_step},
    refund::{Started, Wanted, reserve},
    store::{Intent, Pair},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Begun, INQUIRE_AFTER, OperationRow, Payments};
use crate::simulation::wire::Command;

impl Payments {
    pub(super) fn begin_refunding(
        &mut self,
        command: &Command,
        now: OffsetDateTime,
        is_anew: bool,
    ) -> anyhow::Result<Begun> {
        let mut wanted = wanted(command)?;
        if is_anew {
            wanted.operation_id = Uuid::new_v5(&wanted.operation_id, &command.attempt.to_be_bytes());
        }
        let operations = self.operations.values().map(|row| &row.operation);
        let before = operations.filter(|one| one.refund_id == Some(wanted.refund_id)).find(|_| !is_anew);
        match before.map(|one| one.id) {
            Some(id) if id == wanted.operation_id => return self.resume_refund(id, false),
            Some(_) => {
                let detail = format!("refund {} is another one", wanted.refund_id);
                return Ok(Begun::Decided(Outcome::refused("refund_id_used", detail)));
            }
            None => {}
        }
        match self.reserve_of(&wanted) {
            Started::Refused { code, detail } => Ok(Begun::Decided(Outcome::refused(code, detail))),
            Started::Waits => Ok(Begun::Decided(Outcome::retry("another refund is undecided"))),
            Started::AllBack(all_back) => {
                let refund_id =
                    self.last_refund_of(wanted.intent_id).context("all of a payment went back by no refund")?;
                let refunded = Money::from_columns(0, &all_back.currency)?;
                let output = serde_json::to_value(RefundedPayment { refund_id, refunded })?;
                Ok(Begun::Decided(Outcome::Done { output }))
            }
            Started::New(pair) | Started::Before(pair) => {
                let id = pair.0.id;
                self.keep_refund(*pair, now + INQUIRE_AFTER)?;
                self.resume_refund(id, true)
            }
        }
    }

    /// What an operator gives back of a payment, if it may be: the provider is asked in the background.
    pub(in crate::simulation) fn give_back(
        &mut self,
        intent_id: Uuid,
        minor: i64,
        refund_id: Uuid,
        now: OffsetDateTime,
    ) -> anyhow::Result<()> {
        let Some(intent) = self.intents.get(&intent_id) else { return Ok(()) };
        let wanted = Wanted {
            operation_id: id_of_refund(refund_id),
            intent_id,
            refund_id,
            amount: Some(intent.money(minor)?),
            reason: None,
            asker: None,
        };
        match self.reserve_of(&wanted) {
            Started::New(pair) => self.keep_refund(*pair, now),
            Started::Refused { .. } => Ok(()),
            odd @ (Started::Before(_) | Started::Waits | Started::AllBack(_)) => {
                anyhow::bail!("an operator got {odd:?}")
            }
        }
    }

    /// Payments of which money was taken.
    pub(in crate::simulation) fn captured(&self) -> Vec<(Uuid, i64)> {
        let captured = self.intents.values().filter(|intent| intent.progress.state == intent::State::Succeeded);
        captured.map(|intent| (intent.id, intent.progress.captured_minor)).collect()
    }

    /// What operators have given back of a payment.
    pub(in crate::simulation) fn given_back(&self, intent_id: Uuid) -> i64 {
        let operations = self.operations.values().map(|row| &row.operation).filter(|one| one.intent_id == intent_id);
        let by_operators = operations.filter(|one| one.kind == Kind::Refund && one.asker.is_none());
        by_operators.filter(|one| one.state == State::Succeeded).map(|one| one.amount_minor).sum()
    }

    fn last_refund_of(&self, intent_id: Uuid) -> Option<Uuid> {
        let operations = self.operations.values().map(|row| &row.operation).filter(|one| one.intent_id == intent_id);
        operations.filter(|one| one.state == State::Succeeded).find_map(|one| one.refund_id)
    }

    fn reserve_of(&self, wanted: &Wanted) -> Started {
        let intent = self.intents.get(&wanted.intent_id).cloned();
        let mut intents: HashMap<Uuid, Intent> = intent.into_iter().map(|intent| (intent.id, intent)).collect();
        reserve(&mut intents, wanted)
    }

    fn keep_refund(&mut self, (operation, intent): Pair, ask_at: OffsetDateTime) -> anyhow::Result<()> {
        if let Some(broken) = self.book(&ledger::refund_started(operation.id, operation.amount_minor)) {
            anyhow::bail!(broken);
        }
        self.intents.insert(intent.id, Intent { version: intent.version + 1, ..intent });
        self.operations.insert(operation.id, OperationRow { operation, ask_at: Some(ask_at), asked: 0 });
        Ok(())
    }

    fn resume_refund(&self, operation_id: Uuid, is_new: bool) -> anyhow::Result<Begun> {
        let unknown = || Err(anyhow::anyhow!("refund {operation_id} has no payment"));
        self.resume(operation_id, is_new).unwrap_or_else(unknown)
    }
}

fn wanted(command: &Command) -> anyhow::Result<Wanted> {
    let input: RefundPayment = serde_json::from_value(command.payload.clone())?;
    Ok(Wanted {
        operation_id: id_of_step(&command.key),
        intent_id: input.payment_intent_id.unwrap_or(command.key.saga_id),
        refund_id: input.refund_id,
        amount: Some(input.amount),
        reason: input.reason,
        asker: Some(Asker { key: command.key.clone(), reply_to: String::new(), attempt: command.attempt }),
    })
}
