//! The payment service's tables and phases, with its own rules (`makegood_payment::{intent, operation, settlement,
//! ledger}`): an operation is stored as started, carried out at the provider, and settled.

mod refunds;

use std::collections::BTreeMap;

use makegood_contracts::{
    command::{Direction, StepKey},
    payment::AuthorizePayment,
    reply::{Outcome, Reply},
};
use makegood_payment::{
    intent::{self, Event, Progress, State as IntentState},
    ledger::{self, Leg},
    operation::{Asker, Kind, Operation, Refusal, Said, State, id_of_step},
    settlement::{AuthorizationEnd, decide, unanswered},
    store::Intent,
};
use rand::Rng as _;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    Service, Simulation, Tick,
    participant::InHand,
    wire::{Command, Message},
};
use crate::bug::Bug;

/// A new operation is asked about after this, unless it is decided by then.
const INQUIRE_AFTER: Duration = Duration::seconds(30);
/// While one inquiry asks, no other does.
const INQUIRY_LEASE: Duration = Duration::seconds(90);
/// How long the provider is waited for.
const PROVIDER_TIMEOUT: Duration = Duration::seconds(10);

struct OperationRow {
    operation: Operation,
    ask_at: Option<OffsetDateTime>,
    asked: u32,
}

#[derive(Default)]
pub(super) struct Payments {
    intents: BTreeMap<Uuid, Intent>,
    operations: BTreeMap<Uuid, OperationRow>,
    /// What each authorization has reserved in the ledger.
    reserved: BTreeMap<Uuid, i64>,
    pub(super) earned_minor: i64,
}

/// A question to the provider that is on its way.
#[derive(Clone)]
pub(super) struct Errand {
    operation_id: Uuid,
    ask_first: bool,
    /// The command that waits for it; none for an inquiry.
    in_hand: Option<InHand>,
    epoch: u32,
}

enum Begun {
    Decided(Outcome),
    Errand { operation_id: Uuid, ask_first: bool },
}

impl Payments {
    pub(super) fn has_reserved(&self) -> bool {
        !self.reserved.is_empty()
    }

    /// Books legs; what cannot be booked is told.
    fn book(&mut self, legs: &[Leg]) -> Option<String> {
        for leg in legs {
            let is_kept = match (leg.kind, leg.resolves) {
                (ledger::Kind::Pending, _) => self.reserved.insert(leg.operation_id, leg.amount_minor).is_none(),
                (ledger::Kind::Post | ledger::Kind::Void, Some(pending)) => {
                    let gives_back = leg.kind == ledger::Kind::Post && leg.flow == "refund";
                    self.earned_minor -= if gives_back { leg.amount_minor } else { 0 };
                    self.reserved.remove(&pending).is_some()
                }
                (ledger::Kind::Post | ledger::Kind::Void, None) => false,
                (ledger::Kind::Posted, _) => {
                    self.earned_minor += leg.amount_minor;
                    true
                }
            };
            if !is_kept {
                return Some(format!("the ledger cannot follow {leg:?}"));
            }
        }
        None
    }

    fn resume(&self, operation_id: Uuid, is_new: bool) -> Option<anyhow::Result<Begun>> {
        let operation = &self.operations.get(&operation_id)?.operation;
        let intent = self.intents.get(&operation.intent_id)?;
        Some(match operation.state {
            State::Succeeded | State::Declined => operation.outcome(intent).map(Begun::Decided),
            State::Started | State::Unknown | State::ActionRequired => {
                Ok(Begun::Errand { operation_id, ask_first: !is_new })
            }
        })
    }

    fn start(&mut self, command: &Command, kind: Kind, amount_minor: i64, now: OffsetDateTime) {
        let id = id_of_step(&command.key);
        let operation = Operation {
            id,
            intent_id: command.key.saga_id,
            kind,
            amount_minor,
            state: State::Started,
            provider_reference: None,
            refusal: None,
            redirect_url: None,
            refund_id: None,
            reason: None,
            asker: Some(Asker { key: command.key.clone(), reply_to: String::new(), attempt: command.attempt }),
        };
        self.operations.insert(id, OperationRow { operation, ask_at: Some(now + INQUIRE_AFTER), asked: 0 });
    }

    fn insert_intent(&mut self, input: &AuthorizePayment, saga: Uuid, authorization_id: Uuid, state: IntentState) {
        let progress = Progress { state, ..Progress::new(input.amount.minor_units) };
        self.intents.entry(saga).or_insert_with(|| Intent {
            id: saga,
            account: input.account,
            order_id: Some(input.order_id),
            reference: input.reference.clone(),
            currency: input.amount.code().to_owned(),
            payment_method: input.payment_method.clone(),
            authorization_id,
            progress,
            version: 1,
        });
    }

    fn begin_authorizing(&mut self, command: &Command, now: OffsetDateTime) -> anyhow::Result<Begun> {
        let input: AuthorizePayment = serde_json::from_value(command.payload.clone())?;
        let (saga, id) = (command.key.saga_id, id_of_step(&command.key));
        let is_new = !self.intents.contains_key(&saga);
        if is_new {
            let started = intent::apply(Progress::new(1), Event::AuthorizationStarted)?.state;
            self.insert_intent(&input, saga, id, started);
            self.start(command, Kind::Authorize, input.amount.minor_units, now);
        }
        let undone = || Outcome::refused("payment_canceled", "the payment was voided before it was authorized");
        self.resume(id, is_new).unwrap_or_else(|| Ok(Begun::Decided(undone())))
    }

    fn begin_voiding(&mut self, command: &Command, now: OffsetDateTime) -> anyhow::Result<Begun> {
        let input: AuthorizePayment = serde_json::from_value(command.payload.clone())?;
        let (saga, id) = (command.key.saga_id, id_of_step(&command.key));
        let action = StepKey { direction: Direction::Do, ..command.key.clone() };
        self.insert_intent(&input, saga, id_of_step(&action), IntentState::RequiresConfirmation);
        let Some(Progress { state, amount_minor, .. }) = self.intents.get(&saga).map(|intent| intent.progress) else {
            anyhow::bail!("the intent was just inserted")
        };
        let is_voidable = matches!(
            state,
            IntentState::RequiresConfirmation
                | IntentState::Processing
                | IntentState::RequiresAction
                | IntentState::RequiresCapture
        );
        let is_captured = self.operations.values().any(|row| {
            let operation = &row.operation;
            operation.intent_id == saga && operation.kind == Kind::Capture && operation.state != State::Declined
        });
        let is_new = !self.operations.contains_key(&id) && is_voidable && !is_captured;
        if is_new {
            self.start(command, Kind::Void, amount_minor, now);
        }
        self.resume(id, is_new).unwrap_or_else(|| {
            Ok(Begun::Decided(match state {
                IntentState::Failed | IntentState::Canceled => Outcome::done(),
                IntentState::Succeeded | IntentState::RequiresCapture => {
                    Outcome::defect("it is captured or being captured")
                }
                IntentState::RequiresConfirmation | IntentState::Processing | IntentState::RequiresAction => {
                    Outcome::retry("it changed meanwhile")
                }
            }))
        })
    }

    fn begin_capturing(&mut self, command: &Command, now: OffsetDateTime) -> anyhow::Result<Begun> {
        let (saga, id) = (command.key.saga_id, id_of_step(&command.key));
        let Some(Progress { state, amount_minor, .. }) = self.intents.get(&saga).map(|intent| intent.progress) else {
            return Ok(Begun::Decided(Outcome::refused("payment_not_authorized", "nothing is held")));
        };
        let is_new = !self.operations.contains_key(&id) && state == IntentState::RequiresCapture;
        if is_new {
            self.start(command, Kind::Capture, amount_minor, now);
        }
        self.resume(id, is_new).unwrap_or_else(|| {
            Ok(Begun::Decided(match state {
                IntentState::RequiresConfirmation
                | IntentState::Processing
                | IntentState::RequiresAction
                | IntentState::RequiresCapture => Outcome::retry("it is not authorized yet"),
                IntentState::Canceled | IntentState::Failed => {
                    Outcome::refused("payment_not_authorized", "nothing is held")
                }
                IntentState::Succeeded => Outcome::defect("it cannot be captured"),
            }))
        })
    }
}

impl Simulation {
    /// The first phase: what the command comes to before the provider is spoken to.
    pub(super) fn pay(&mut self, in_hand: InHand) {
        let command = &in_hand.command;
        let now = self.schedule.now;
        let begun = match command.name.as_str() {
            "payment.authorize_payment" => self.payments.begin_authorizing(command, now),
            "payment.void_payment" => {
                self.entomb(Service::Payment, &command.key);
                self.payments.begin_voiding(command, now)
            }
            "payment.capture_payment" => self.payments.begin_capturing(command, now),
            "payment.refund_payment" => {
                self.payments.begin_refunding(command, now, self.bug == Some(Bug::RefundBegunAnew))
            }
            other => Err(anyhow::anyhow!("no handler for {other}")),
        };
        match begun {
            Ok(Begun::Errand { operation_id, ask_first }) => {
                let epoch = in_hand.epoch;
                self.send_errand(Errand { operation_id, ask_first, in_hand: Some(in_hand), epoch });
            }
            Ok(Begun::Decided(outcome)) => {
                if !matches!(outcome, Outcome::Failed { .. }) {
                    self.record(Service::Payment, &command.key, outcome.clone());
                }
                self.answer_soon(in_hand, outcome);
            }
            Err(error) => self.breaks(format!("{}: {error:#}", command.name)),
        }
    }

    fn send_errand(&mut self, errand: Errand) {
        let silence = self.faults.silence;
        if self.happens(silence) {
            let said = Said::Unknown { why: "the request was lost".to_owned() };
            self.schedule.after(PROVIDER_TIMEOUT, Tick::Settle(errand, said));
        } else {
            let delay = Duration::milliseconds(self.random.random_range(1..200));
            self.schedule.after(delay, Tick::ProviderTakes(errand));
        }
    }

    /// The request has reached the provider.
    pub(super) fn provider_takes(&mut self, errand: Errand) {
        let Some(row) = self.payments.operations.get(&errand.operation_id) else { return };
        let Some(intent) = self.payments.intents.get(&row.operation.intent_id) else { return };
        let mut key = errand.operation_id;
        if self.bug == Some(Bug::NewProviderKeyAfterTimeout) && row.operation.state == State::Unknown {
            key = Uuid::new_v5(&key, &row.asked.to_be_bytes());
        }
        let known = self.provider.find(key).filter(|_| errand.ask_first);
        let (order_id, operation_id) = (intent.order_id.unwrap_or_default(), errand.operation_id);
        let said = known.unwrap_or_else(|| self.provider.take(key, &row.operation, intent));
        if let Some(broken) = self.provider.broken(order_id) {
            self.breaks(broken);
        }
        if matches!(said, Said::ActionRequired { .. }) && self.challenged.insert(operation_id) && self.happens(0.9) {
            let delay = Duration::milliseconds(self.random.random_range(500..60_000));
            let is_authentic = self.happens(0.8);
            self.schedule.after(delay, Tick::Challenge(operation_id, is_authentic));
        }
        let silence = self.faults.silence;
        if self.happens(silence) {
            let said = Said::Unknown { why: "the answer was lost".to_owned() };
            self.schedule.after(PROVIDER_TIMEOUT, Tick::Settle(errand, said));
        } else {
            let delay = Duration::milliseconds(self.random.random_range(1..200));
            self.schedule.after(delay, Tick::Settle(errand, said));
        }
    }

    /// A callback is a hint: its operation is asked about now.
    pub(super) fn challenge(&mut self, operation_id: Uuid, is_authentic: bool) {
        self.provider.challenge(operation_id, is_authentic);
        let now = self.schedule.now;
        let is_told = self.happens(0.8);
        if let Some(row) = self.payments.operations.get_mut(&operation_id).filter(|_| is_told) {
            row.ask_at = row.ask_at.map(|_| now);
        }
    }

    /// The last phase: what the provider said becomes durable, and then the step is answered.
    pub(super) fn settle(&mut self, errand: Errand, said: Said) {
        if errand.epoch != self.service_epoch(Service::Payment) {
            return;
        }
        let said = match said {
            Said::Unknown { .. } if self.bug == Some(Bug::SilenceReadAsNo) => Said::Declined {
                provider_reference: None,
                refusal: Refusal { code: "no_answer".to_owned(), decline_code: None },
            },
            said @ (Said::Succeeded { .. }
            | Said::Declined { .. }
            | Said::ActionRequired { .. }
            | Said::Unknown { .. }) => said,
        };
        let Some((asker, outcome, is_changed)) = self.save(errand.operation_id, &said) else { return };
        match (errand.in_hand, asker) {
            (Some(in_hand), _) => self.answer_soon(in_hand, outcome),
            (None, Some(key)) if is_changed && !matches!(outcome, Outcome::Failed { .. }) => {
                self.publish(Message::Reply(Reply { key, attempt: 0, outcome }));
            }
            (None, _) => {}
        }
    }

    /// The step that asked (none where an operator did), what it is answered, and whether that is new.
    fn save(&mut self, operation_id: Uuid, said: &Said) -> Option<(Option<StepKey>, Outcome, bool)> {
        let now = self.schedule.now;
        let row = self.payments.operations.get(&operation_id)?;
        let intent = self.payments.intents.get(&row.operation.intent_id)?.clone();
        let (before, asked) = (row.operation.clone(), row.asked);
        let effect = match decide(&intent, &before, said) {
            Ok(effect) => effect,
            Err(illegal) => {
                self.breaks(format!("the provider's word contradicts the books: {illegal}"));
                Some(unanswered(&intent, &before))
            }
        };
        let asker = before.asker.as_ref().map(|asker| asker.key.clone());
        let Some(effect) = effect else {
            return Some((asker, before.outcome(&intent).ok()?, false));
        };
        let is_changed = effect.operation.state != before.state;
        let is_decided = effect.operation.state.is_decided();
        let wait = Duration::seconds(2 * 2_i64.pow(asked.min(8))).min(Duration::seconds(60));
        let outcome = effect.operation.outcome(&intent).ok()?;
        let ask_at = (!is_decided).then_some(now + wait);
        self.payments
            .operations
            .insert(operation_id, OperationRow { operation: effect.operation, ask_at, asked: asked + 1 });
        if let Some(end) = effect.authorization {
            self.payments.end_authorization(intent.authorization_id, end);
        }
        if let Some(broken) = self.payments.book(&effect.legs) {
            self.breaks(broken);
        }
        let intent_id = intent.id;
        self.payments
            .intents
            .insert(intent_id, Intent { progress: effect.progress, version: intent.version + 1, ..intent });
        if let Some(key) = asker.as_ref().filter(|_| is_changed && !matches!(outcome, Outcome::Failed { .. })) {
            self.record(Service::Payment, key, outcome.clone());
            self.note_effect(key, &outcome, true);
        }
        Some((asker, outcome, is_changed))
    }

    /// Operations of which nothing final was heard are asked about.
    pub(super) fn inquire(&mut self) {
        if !self.is_up(Service::Payment) {
            return;
        }
        let now = self.schedule.now;
        let due = |row: &OperationRow| row.ask_at.is_some_and(|at| at <= now) && !row.operation.state.is_decided();
        let ids: Vec<Uuid> = self.payments.operations.iter().filter(|(_, row)| due(row)).map(|(id, _)| *id).collect();
        let epoch = self.service_epoch(Service::Payment);
        for operation_id in ids {
            if let Some(row) = self.payments.operations.get_mut(&operation_id) {
                row.ask_at = Some(now + INQUIRY_LEASE);
            }
            self.send_errand(Errand { operation_id, ask_first: true, in_hand: None, epoch });
        }
    }
}

impl Payments {
    /// An authorization that its void has told of.
    fn end_authorization(&mut self, id: Uuid, end: AuthorizationEnd) {
        if let Some(row) = self.operations.get_mut(&id).filter(|row| row.ask_at.is_some()) {
            row.ask_at = None;
            row.operation.state = match end {
                AuthorizationEnd::Released => State::Succeeded,
                AuthorizationEnd::Revoked => State::Declined,
            };
        }
    }
}
