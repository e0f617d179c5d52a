//! The card provider, with the sandbox's own rules (`makegood_sandbox::charge`).

use std::collections::BTreeMap;

use makegood_payment::{
    operation::{Kind, Operation, Refusal, Said},
    store::Intent,
};
use makegood_sandbox::charge::{self, Authorization, Charge, Movement, Request, State, Verdict, Void};
use uuid::Uuid;

#[derive(Default)]
pub(super) struct Provider {
    pub(super) charges: BTreeMap<Uuid, Charge>,
    /// What was answered to each operation, by the key under which it was sent, and what a void let go.
    taken: BTreeMap<Uuid, (Verdict, i64)>,
}

impl Provider {
    /// What it knows of an operation.
    pub(super) fn find(&self, key: Uuid) -> Option<Said> {
        self.taken.get(&key).map(|(verdict, released_minor)| said(key, *verdict, *released_minor))
    }

    /// Takes an operation, once by its key.
    pub(super) fn take(&mut self, key: Uuid, operation: &Operation, intent: &Intent) -> Said {
        if let Some(known) = self.find(key) {
            return known;
        }
        let request = request(operation, intent);
        let authorization_id = request.authorization_id(key);
        let before = self.charges.remove(&authorization_id);
        let voided_before = before.as_ref().map_or(0, |charge| charge.voided_minor);
        let (verdict, charge) = charge::decide(key, &request, before);
        let released_minor = charge.as_ref().map_or(0, |charge| charge.voided_minor - voided_before);
        if let Some(charge) = charge {
            self.charges.insert(authorization_id, charge);
        }
        self.taken.insert(key, (verdict, released_minor));
        said(key, verdict, released_minor)
    }

    /// The buyer passes a challenge, or fails it.
    pub(super) fn challenge(&mut self, authorization_id: Uuid, is_authentic: bool) {
        let Some(charge) = self.charges.get(&authorization_id).cloned() else { return };
        if let Some((verdict, charge)) = charge::challenged(charge, is_authentic) {
            self.charges.insert(authorization_id, charge);
            self.taken.insert(authorization_id, (verdict, 0));
        }
    }

    pub(super) fn charges_of(&self, order_id: Uuid) -> impl Iterator<Item = &Charge> {
        self.charges.values().filter(move |charge| {
            charge.authorization.as_ref().is_some_and(|authorization| authorization.order_id == Some(order_id))
        })
    }

    /// I1: at most one charge of an order holds or has taken money.
    pub(super) fn broken(&self, order_id: Uuid) -> Option<String> {
        let holds = |charge: &&Charge| matches!(charge.state, State::Authorized | State::Captured);
        let count = self.charges_of(order_id).filter(holds).count();
        (count > 1).then(|| format!("{count} charges of order {order_id} hold money at once"))
    }
}

fn request(operation: &Operation, intent: &Intent) -> Request {
    let authorization = intent.authorization_id;
    let movement =
        || Movement { authorization, amount_minor: operation.amount_minor, currency: intent.currency.clone() };
    match operation.kind {
        Kind::Authorize => Request::Authorize(Authorization {
            merchant: intent.account.id,
            amount_minor: operation.amount_minor,
            currency: intent.currency.clone(),
            payment_method: intent.payment_method.clone(),
            order_id: intent.order_id,
            reference: intent.reference.clone(),
        }),
        Kind::Capture => Request::Capture(movement()),
        Kind::Void => Request::Void(Void { authorization }),
        Kind::Refund => Request::Refund(movement()),
    }
}

fn said(key: Uuid, verdict: Verdict, released_minor: i64) -> Said {
    match verdict {
        Verdict::Succeeded => Said::Succeeded { provider_reference: key.to_string(), released_minor },
        Verdict::RequiresAction => Said::ActionRequired { redirect_url: "https://bank.example/".to_owned() },
        Verdict::Declined { code, decline_code } => Said::Declined {
            provider_reference: None,
            refusal: Refusal { code: code.to_owned(), decline_code: decline_code.map(str::to_owned) },
        },
    }
}
