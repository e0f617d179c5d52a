//! The provider's rules, pure: what a request does to a charge, and what is answered.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::test_card::{Behaviour, behaviour, declines_capture};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    RequiresAction,
    Authorized,
    Captured,
    Voided,
    Declined,
}

impl State {
    const ALL: [Self; 5] = [Self::RequiresAction, Self::Authorized, Self::Captured, Self::Voided, Self::Declined];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresAction => "requires_action",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Declined => "declined",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What a merchant asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Authorize(Authorization),
    Capture(Movement),
    Void(Void),
    Refund(Movement),
}

/// Reserve money of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// Whose books it goes in.
    #[schema(value_type = String, format = "uuid")]
    pub merchant: Uuid,
    #[schema(minimum = 1)]
    pub amount_minor: i64,
    #[schema(example = "GBP")]
    pub currency: String,
    #[schema(example = "pm_card_visa")]
    pub payment_method: String,
    #[schema(value_type = Option<String>, format = "uuid")]
    pub order_id: Option<Uuid>,
    pub reference: Option<String>,
}

/// Take authorized money, or give captured money back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Movement {
    /// The operation that authorized it.
    #[schema(value_type = String, format = "uuid")]
    pub authorization: Uuid,
    #[schema(minimum = 1)]
    pub amount_minor: i64,
    #[schema(example = "GBP")]
    pub currency: String,
}

/// Let authorized money go, or refuse an authorization that was never seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProviderVoid)]
pub struct Void {
    /// The operation that authorized it.
    #[schema(value_type = String, format = "uuid")]
    pub authorization: Uuid,
}

impl Request {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Authorize(_) => "authorize",
            Self::Capture(_) => "capture",
            Self::Void(_) => "void",
            Self::Refund(_) => "refund",
        }
    }

    /// The operation that authorizes the charge that this is about.
    pub const fn authorization_id(&self, operation_id: Uuid) -> Uuid {
        match self {
            Self::Authorize(_) => operation_id,
            Self::Capture(movement) | Self::Refund(movement) => movement.authorization,
            Self::Void(void) => void.authorization,
        }
    }

    pub fn amount(&self) -> Option<(i64, &str)> {
        match self {
            Self::Authorize(authorization) => Some((authorization.amount_minor, &authorization.currency)),
            Self::Capture(movement) | Self::Refund(movement) => Some((movement.amount_minor, &movement.currency)),
            Self::Void(_) => None,
        }
    }
}

/// An authorization and what has become of its money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub authorization_id: Uuid,
    /// None where only a void was seen.
    pub authorization: Option<Authorization>,
    pub state: State,
    pub authorized_minor: i64,
    pub captured_minor: i64,
    pub refunded_minor: i64,
    pub voided_minor: i64,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Succeeded,
    RequiresAction,
    Declined { code: &'static str, decline_code: Option<&'static str> },
}

const fn declined(code: &'static str) -> Verdict {
    Verdict::Declined { code, decline_code: None }
}

/// The answer to a request, and the charge after it (none where there is none and none comes to be).
pub fn decide(operation_id: Uuid, request: &Request, charge: Option<Charge>) -> (Verdict, Option<Charge>) {
    match (request, charge) {
        (Request::Authorize(authorization), None) => {
            let (verdict, charge) = authorize(operation_id, authorization);
            (verdict, Some(charge))
        }
        // Its void came first.
        (Request::Authorize(_), Some(charge)) => (declined("voided"), Some(charge)),
        (Request::Capture(movement), Some(charge)) => capture(movement, charge),
        (Request::Refund(movement), Some(charge)) => refund(movement, charge),
        (Request::Capture(_) | Request::Refund(_), None) => (declined("authorization_unknown"), None),
        (Request::Void(_), Some(charge)) => void(charge),
        (Request::Void(void), None) => (Verdict::Succeeded, Some(new_charge(void.authorization, None, State::Voided))),
    }
}

fn new_charge(authorization_id: Uuid, authorization: Option<Authorization>, state: State) -> Charge {
    Charge {
        authorization_id,
        authorization,
        state,
        authorized_minor: 0,
        captured_minor: 0,
        refunded_minor: 0,
        voided_minor: 0,
    }
}

fn authorize(operation_id: Uuid, authorization: &Authorization) -> (Verdict, Charge) {
    let charge = |state| new_charge(operation_id, Some(authorization.clone()), state);
    match behaviour(&authorization.payment_method) {
        Behaviour::Approve => (Verdict::Succeeded, approved(charge(State::Authorized))),
        Behaviour::Challenge => (Verdict::RequiresAction, charge(State::RequiresAction)),
        Behaviour::Decline { code, decline_code } => {
            (Verdict::Declined { code, decline_code }, charge(State::Declined))
        }
    }
}

fn approved(charge: Charge) -> Charge {
    let authorized_minor = charge.authorization.as_ref().map_or(0, |authorization| authorization.amount_minor);
    Charge { state: State::Authorized, authorized_minor, ..charge }
}

/// The charge after the buyer's challenge; none where it is not waiting for one.
pub fn challenged(charge: Charge, authenticated: bool) -> Option<(Verdict, Charge)> {
    match (charge.state, authenticated) {
        (State::RequiresAction, true) => Some((Verdict::Succeeded, approved(charge))),
        (State::RequiresAction, false) => {
            Some((declined("authentication_failed"), Charge { state: State::Declined, ..charge }))
        }
        (State::Authorized | State::Captured | State::Voided | State::Declined, _) => None,
    }
}

fn has_currency(charge: &Charge, currency: &str) -> bool {
    charge.authorization.as_ref().is_some_and(|authorization| authorization.currency == currency)
}

fn capture(movement: &Movement, charge: Charge) -> (Verdict, Option<Charge>) {
    let verdict = match charge.state {
        State::Authorized if !has_currency(&charge, &movement.currency) => declined("currency_mismatch"),
        State::Authorized if movement.amount_minor > charge.authorized_minor => declined("amount_too_large"),
        State::Authorized if charge.authorization.as_ref().is_some_and(|it| declines_capture(&it.payment_method)) => {
            declined("capture_declined")
        }
        State::Authorized => {
            let captured = Charge { state: State::Captured, captured_minor: movement.amount_minor, ..charge };
            return (Verdict::Succeeded, Some(captured));
        }
        State::Captured => declined("charge_already_captured"),
        State::RequiresAction | State::Voided | State::Declined => declined("charge_not_authorized"),
    };
    (verdict, Some(charge))
}

fn void(charge: Charge) -> (Verdict, Option<Charge>) {
    match charge.state {
        State::Authorized => {
            let voided_minor = charge.authorized_minor;
            (Verdict::Succeeded, Some(Charge { state: State::Voided, voided_minor, ..charge }))
        }
        State::RequiresAction => (Verdict::Succeeded, Some(Charge { state: State::Voided, ..charge })),
        // Nothing is held.
        State::Voided | State::Declined => (Verdict::Succeeded, Some(charge)),
        State::Captured => (declined("charge_already_captured"), Some(charge)),
    }
}

fn refund(movement: &Movement, charge: Charge) -> (Verdict, Option<Charge>) {
    let left = charge.captured_minor - charge.refunded_minor;
    let verdict = match charge.state {
        State::Captured if !has_currency(&charge, &movement.currency) => declined("currency_mismatch"),
        State::Captured if movement.amount_minor > left => declined("amount_too_large"),
        State::Captured => {
            let refunded_minor = charge.refunded_minor + movement.amount_minor;
            return (Verdict::Succeeded, Some(Charge { refunded_minor, ..charge }));
        }
        State::RequiresAction | State::Authorized | State::Voided | State::Declined => declined("charge_not_captured"),
    };
    (verdict, Some(charge))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORIZATION_ID: Uuid = Uuid::from_u128(1);

    fn authorization(payment_method: &str) -> Request {
        Request::Authorize(Authorization {
            merchant: Uuid::nil(),
            amount_minor: 100,
            currency: "GBP".to_owned(),
            payment_method: payment_method.to_owned(),
            order_id: None,
            reference: None,
        })
    }

    fn movement(amount_minor: i64) -> Movement {
        Movement { authorization: AUTHORIZATION_ID, amount_minor, currency: "GBP".to_owned() }
    }

    /// Runs requests one after another and gives the verdicts and the last charge.
    fn run(requests: &[Request]) -> (Vec<Verdict>, Option<Charge>) {
        requests.iter().fold((Vec::new(), None), |(mut verdicts, charge), request| {
            let (verdict, charge) = decide(AUTHORIZATION_ID, request, charge);
            verdicts.push(verdict);
            (verdicts, charge)
        })
    }

    #[test]
    fn captured_money_goes_back_at_most_once() {
        let (verdicts, charge) = run(&[
            authorization("pm_card_visa"),
            Request::Capture(movement(100)),
            Request::Capture(movement(100)),
            Request::Refund(movement(60)),
            Request::Refund(movement(60)),
            Request::Refund(movement(40)),
            Request::Void(Void { authorization: AUTHORIZATION_ID }),
        ]);
        assert_eq!(
            verdicts,
            [
                Verdict::Succeeded,
                Verdict::Succeeded,
                declined("charge_already_captured"),
                Verdict::Succeeded,
                declined("amount_too_large"),
                Verdict::Succeeded,
                declined("charge_already_captured"),
            ]
        );
        let charge = charge.expect("a charge");
        assert_eq!((charge.captured_minor, charge.refunded_minor, charge.voided_minor), (100, 100, 0));
    }

    #[test]
    fn an_authorization_that_comes_after_its_void_is_refused() {
        let void = Request::Void(Void { authorization: AUTHORIZATION_ID });
        let (verdicts, charge) =
            run(&[void.clone(), authorization("pm_card_visa"), Request::Capture(movement(1)), void]);
        assert_eq!(
            verdicts,
            [Verdict::Succeeded, declined("voided"), declined("charge_not_authorized"), Verdict::Succeeded]
        );
        assert_eq!(charge.map(|charge| charge.authorized_minor), Some(0));
    }

    #[test]
    fn a_challenge_is_decided_once_and_a_void_ends_it() {
        let (verdicts, waiting) = run(&[authorization("pm_card_authenticationRequired")]);
        assert_eq!(verdicts, [Verdict::RequiresAction]);
        let waiting = waiting.expect("a charge");
        let (verdict, passed) = challenged(waiting.clone(), true).expect("it waits");
        assert_eq!((verdict, passed.authorized_minor), (Verdict::Succeeded, 100));
        assert_eq!(challenged(passed, false), None);
        let (_, voided) =
            decide(AUTHORIZATION_ID, &Request::Void(Void { authorization: AUTHORIZATION_ID }), Some(waiting));
        assert_eq!(challenged(voided.expect("a charge"), true), None);
    }
}
