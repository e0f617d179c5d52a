//! What a provider's word does to the books: the one entry for answers, inquiries and callbacks.
//!
//! [`decide`] is pure: operation and intent as they are, what the provider said, and out comes what they become and
//! what is booked. [`settle`] makes it durable together with the step's outcome, in one transaction for a batch. Every write is
//! conditional on what was decided from; where another transaction was first, all is decided again from what it left.

mod transaction;

pub use transaction::{Settled, Verdict, is_lost_race, settle};

use crate::{
    intent::{self, Event, Illegal, Progress, apply},
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
    /// What the void of a payment tells of an authorization that was undecided here.
    pub authorization: Option<AuthorizationEnd>,
}

/// How an authorization has ended whose own answer never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationEnd {
    /// It had taken effect, and was let go.
    Released,
    /// It had not come; the provider will refuse it.
    Revoked,
}

/// The effect of the provider's word; none where the operation was decided before.
pub fn decide(intent: &Intent, operation: &Operation, said: &Said) -> Result<Option<Effect>, Illegal> {
    if operation.state.is_decided() {
        return Ok(None);
    }
    let effect = match said {
        Said::Succeeded { provider_reference, released_minor } => {
            let done = Operation {
                state: State::Succeeded,
                provider_reference: Some(provider_reference.clone()),
                ..operation.clone()
            };
            match operation.kind {
                Kind::Void => voided(intent, done, *released_minor)?,
                Kind::Authorize | Kind::Capture | Kind::Refund => succeeded(intent, done)?,
            }
        }
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
    Effect { operation, progress: intent.progress, legs: Vec::new(), last_error: None, authorization: None }
}

fn succeeded(intent: &Intent, done: Operation) -> Result<Effect, Illegal> {
    let (id, minor) = (done.id, done.amount_minor);
    let (event, legs) = match done.kind {
        Kind::Authorize => (Event::Authorized, ledger::authorized(id, minor)),
        Kind::Capture => (Event::Captured { minor }, ledger::captured(id, intent.authorization_id, minor)),
        Kind::Void => (Event::Voided, ledger::voided(id, intent.authorization_id, minor)),
        Kind::Refund => (Event::Refunded { minor }, ledger::refunded(id, minor)),
    };
    Ok(Effect { progress: apply(intent.progress, event)?, legs, ..unchanged(intent, done) })
}

/// The provider holds nothing any more. Its answer is also the truth about an authorization that was undecided here: if
/// it let something go, the authorization had taken effect, and is booked as well.
fn voided(intent: &Intent, done: Operation, released_minor: i64) -> Result<Effect, Illegal> {
    match intent.progress.state {
        // Declined, or called off, while the void was on its way: there was nothing to let go.
        intent::State::Failed | intent::State::Canceled => Ok(unchanged(intent, done)),
        intent::State::RequiresCapture => succeeded(intent, done),
        intent::State::RequiresConfirmation
        | intent::State::Processing
        | intent::State::RequiresAction
        | intent::State::Succeeded => {
            let (legs, end) = match released_minor {
                0 => (Vec::new(), AuthorizationEnd::Revoked),
                _ => {
                    let mut legs = ledger::authorized(intent.authorization_id, released_minor);
                    legs.extend(ledger::voided(done.id, intent.authorization_id, released_minor));
                    (legs, AuthorizationEnd::Released)
                }
            };
            let progress = apply(intent.progress, Event::Voided)?;
            Ok(Effect { progress, legs, authorization: Some(end), ..unchanged(intent, done) })
        }
    }
}

fn declined(
    intent: &Intent,
    operation: &Operation,
    provider_reference: Option<&str>,
    refusal: &Refusal,
) -> Result<Effect, Illegal> {
    let (progress, legs) = match operation.kind {
        Kind::Authorize => (apply(intent.progress, Event::Declined)?, Vec::new()),
        // The money stays where it is: what was not captured is voided, and a void's defect brings people.
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
