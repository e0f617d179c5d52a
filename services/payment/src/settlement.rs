//! What a provider's word does to the books: the one entry for answers, inquiries and callbacks.
//!
//! [`decide`] is pure: operation and intent as they are, what the provider said, and out comes what they become and
//! what is booked. [`settle`] makes it durable together with the step's outcome, in one transaction for a batch. Every write is
//! conditional on what was decided from; where another transaction was first, all is decided again from what it left.

mod transaction;

pub use transaction::{Settled, Verdict, is_lost_race, settle};

use crate::{
    intent::{Event, Illegal, Progress, apply},
    ledger::{self, Leg},
    operation::{Kind, Operation, Refusal, Said, State},
    store::Intent,
};

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub operation: Operation,
    pub progress: Progress,
    pub legs: Vec<Leg>,
    pub last_error: Option<Refusal>,
    /// The payment is called off: an authorization that is undecided yet is refused for good.
    pub revokes_authorization: bool,
}

/// The effect of the provider's word; none where the operation was decided before.
pub fn decide(intent: &Intent, operation: &Operation, said: &Said) -> Result<Option<Effect>, Illegal> {
    if operation.state.is_decided() {
        return Ok(None);
    }
    let effect = match said {
        Said::Succeeded { provider_reference } => succeeded(intent, operation, provider_reference)?,
        Said::Declined { provider_reference, refusal } => {
            declined(intent, operation, provider_reference.as_deref(), refusal)?
        }
        Said::ActionRequired { redirect_url } if operation.kind == Kind::Authorize => {
            let progress = apply(intent.progress, Event::ActionRequired)?;
            let operation = Operation {
                state: State::ActionRequired,
                redirect_url: Some(redirect_url.clone()),
                ..operation.clone()
            };
            Effect { progress, ..unchanged(intent, operation) }
        }
        // Only an authorization can wait for the buyer; anything else that says so has not been understood.
        Said::ActionRequired { .. } | Said::Unknown { .. } => unanswered(intent, operation),
    };
    Ok(Some(effect))
}

/// The provider did not say what became of it. What was known before stays known.
pub fn unanswered(intent: &Intent, operation: &Operation) -> Effect {
    let state = if operation.state == State::ActionRequired { State::ActionRequired } else { State::Unknown };
    unchanged(intent, Operation { state, ..operation.clone() })
}

fn unchanged(intent: &Intent, operation: Operation) -> Effect {
    Effect { operation, progress: intent.progress, legs: Vec::new(), last_error: None, revokes_authorization: false }
}

fn succeeded(intent: &Intent, operation: &Operation, provider_reference: &str) -> Result<Effect, Illegal> {
    let (id, minor) = (operation.id, operation.amount_minor);
    let held = intent.progress.state == crate::intent::State::RequiresCapture;
    let (event, legs) = match operation.kind {
        Kind::Authorize => (Event::Authorized, ledger::authorized(id, minor)),
        Kind::Capture => (Event::Captured { minor }, ledger::captured(id, intent.authorization_id, minor)),
        // Without an authorization in our books there is nothing to release in them.
        Kind::Void if !held => (Event::Voided, Vec::new()),
        Kind::Void => (Event::Voided, ledger::voided(id, intent.authorization_id, intent.progress.amount_minor)),
        Kind::Refund => (Event::Refunded { minor }, ledger::refunded(id, minor)),
    };
    let done = Operation {
        state: State::Succeeded,
        provider_reference: Some(provider_reference.to_owned()),
        ..operation.clone()
    };
    Ok(Effect {
        progress: apply(intent.progress, event)?,
        legs,
        revokes_authorization: operation.kind == Kind::Void && !held,
        ..unchanged(intent, done)
    })
}

fn declined(
    intent: &Intent,
    operation: &Operation,
    provider_reference: Option<&str>,
    refusal: &Refusal,
) -> Result<Effect, Illegal> {
    let (progress, legs) = match operation.kind {
        Kind::Authorize => (apply(intent.progress, Event::Declined)?, Vec::new()),
        // The money stays where it is; the step's defect brings people.
        Kind::Capture | Kind::Void => (intent.progress, Vec::new()),
        Kind::Refund => {
            let minor = operation.amount_minor;
            (apply(intent.progress, Event::RefundDeclined { minor })?, ledger::refund_declined(operation.id, minor))
        }
    };
    let done = Operation {
        state: State::Declined,
        provider_reference: provider_reference.map(str::to_owned),
        refusal: Some(refusal.clone()),
        ..operation.clone()
    };
    Ok(Effect { progress, legs, last_error: Some(refusal.clone()), ..unchanged(intent, done) })
}
