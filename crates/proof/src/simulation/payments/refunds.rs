//! Refunds, with the payment service's own rule for what may still go back (`makegood_payment::refund::reserve`).

use std::collections::HashMap;

use makegood_contracts::{payment::RefundPayment, reply::Outcome};
use makegood_payment::{
    ledger,
    operation::{Asker, id_of_step},
    refund::{Started, Wanted, reserve},
    store::Intent,
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
        let intent = self.intents.get(&wanted.intent_id).cloned();
        let mut intents: HashMap<Uuid, Intent> = intent.into_iter().map(|intent| (intent.id, intent)).collect();
        match reserve(&mut intents, &wanted) {
            Started::Refused { code, detail } => Ok(Begun::Decided(Outcome::refused(code, detail))),
            Started::New(pair) | Started::Before(pair) => {
                let (operation, intent) = *pair;
                let id = operation.id;
                if let Some(broken) = self.book(&ledger::refund_started(id, operation.amount_minor)) {
                    anyhow::bail!(broken);
                }
                self.intents.insert(intent.id, Intent { version: intent.version + 1, ..intent });
                self.operations.insert(id, OperationRow { operation, ask_at: Some(now + INQUIRE_AFTER), asked: 0 });
                self.resume_refund(id, true)
            }
        }
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
