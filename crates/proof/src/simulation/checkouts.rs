//! The order service's tables, with its own rules (`makegood_order::checkout`): the checkout is the outbox of its saga.

use std::collections::BTreeMap;

use makegood_contracts::{
    cart::PricedLine,
    money::Money,
    orchestrator::{CancelSaga, SignalSaga, StartSaga},
    order::{
        CHECKOUT_SAGA, CONFIRMATION, CheckoutInput, CloseCheckout, Confirmation, OpenCheckout, REQUIRES_ACTION,
        RequireAction,
    },
    reply::Outcome,
};
use makegood_order::checkout::{self, Confirming, Status};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::wire::Message;

/// First after this, then twice as late each time, at most a minute.
pub(super) const TOLD_AGAIN: Duration = Duration::seconds(5);
const TOLD_AGAIN_AT_MOST: Duration = Duration::seconds(60);

/// When the order service tells a saga again what it is telling it now.
pub(super) fn told_again_at(resend_count: &mut u32, now: OffsetDateTime) -> OffsetDateTime {
    *resend_count += 1;
    let late = TOLD_AGAIN * 2_i32.pow((*resend_count).min(10));
    now + late.min(TOLD_AGAIN_AT_MOST)
}

pub(super) struct Checkout {
    pub(super) input: CheckoutInput,
    pub(super) status: Status,
    pub(super) confirmation: Option<String>,
    confirmed_in_call: bool,
    is_opened: bool,
    cancel_requested: bool,
    hold_expires_at: Option<OffsetDateTime>,
    /// What is sold, and for how much, once it is opened.
    pub(super) sold: Vec<PricedLine>,
    pub(super) total: Option<Money>,
    resend_at: Option<OffsetDateTime>,
    resend_count: u32,
}

#[derive(Default)]
pub(super) struct Checkouts {
    pub(super) by_id: BTreeMap<Uuid, Checkout>,
    /// The first step backwards.
    pub(super) broken: Option<String>,
}

impl Checkouts {
    /// Writes a checkout down; what its saga is told first.
    pub(super) fn accept(
        &mut self,
        input: CheckoutInput,
        payment_method: Option<String>,
        now: OffsetDateTime,
    ) -> Message {
        let id = input.checkout_id;
        let checkout = Checkout {
            input,
            status: Status::Accepted,
            confirmed_in_call: payment_method.is_some(),
            confirmation: payment_method,
            is_opened: false,
            cancel_requested: false,
            hold_expires_at: None,
            sold: Vec::new(),
            total: None,
            resend_at: Some(now + TOLD_AGAIN),
            resend_count: 0,
        };
        let message = checkout.start();
        self.by_id.insert(id, checkout);
        message
    }

    fn become_status(&mut self, id: Uuid, next: Status) {
        let Some(checkout) = self.by_id.get_mut(&id) else { return };
        if !checkout.status.may_become(next) {
            let status = checkout.status;
            self.broken.get_or_insert_with(|| format!("checkout {id} went from {status} to {next}"));
        }
        checkout.status = next;
    }

    /// A buyer confirms; what the saga is told, if anything.
    pub(super) fn confirm(&mut self, id: Uuid, payment_method: &str, now: OffsetDateTime) -> Option<Message> {
        let checkout = self.by_id.get_mut(&id)?;
        let hold_is_over = checkout.hold_expires_at.is_some_and(|expires_at| expires_at <= now);
        match checkout::confirm(checkout.status, checkout.confirmation.as_deref(), payment_method, hold_is_over) {
            Confirming::Confirm => {
                checkout.confirmation = Some(payment_method.to_owned());
                checkout.resend_at = Some(now + TOLD_AGAIN);
                checkout.resend_count = 0;
                let signal = checkout.signal();
                self.become_status(id, Status::Processing);
                signal
            }
            Confirming::AlreadyConfirmed | Confirming::HoldIsOver | Confirming::NotOpen => None,
        }
    }

    pub(super) fn cancel(&mut self, id: Uuid, now: OffsetDateTime) -> Option<Message> {
        let checkout = self.by_id.get_mut(&id).filter(|checkout| !checkout.status.is_final())?;
        if !checkout.cancel_requested {
            checkout.cancel_requested = true;
            checkout.resend_at = Some(now + TOLD_AGAIN);
            checkout.resend_count = 0;
        }
        Some(checkout.cancellation())
    }

    /// What sagas have not been seen to know is told again.
    pub(super) fn take_due(&mut self, now: OffsetDateTime) -> Vec<Message> {
        let mut messages = Vec::new();
        for checkout in self.by_id.values_mut().filter(|checkout| checkout.resend_at.is_some_and(|at| at <= now)) {
            checkout.resend_at = Some(told_again_at(&mut checkout.resend_count, now));
            if !checkout.is_opened {
                messages.push(checkout.start());
            }
            if !checkout.confirmed_in_call {
                messages.extend(checkout.signal());
            }
            if checkout.cancel_requested {
                messages.push(checkout.cancellation());
            }
        }
        messages
    }

    pub(super) fn open(&mut self, id: Uuid, payload: &Value) -> anyhow::Result<Outcome> {
        let input: OpenCheckout = serde_json::from_value(payload.clone())?;
        let Some(checkout) = self.by_id.get_mut(&id) else {
            return Ok(Outcome::defect(format!("There is no checkout {id}.")));
        };
        if checkout.status == Status::Accepted {
            checkout.is_opened = true;
            checkout.hold_expires_at = Some(input.hold_expires_at);
            checkout.sold = input.lines;
            checkout.total = Some(input.total);
            checkout.resend_at = checkout.resend_at.filter(|_| checkout.cancel_requested);
            let next = if checkout.confirmation.is_none() { Status::Open } else { Status::Processing };
            self.become_status(id, next);
            return Ok(Outcome::done());
        }
        Ok(match checkout.status.is_final() {
            true => Outcome::refused("checkout_final", format!("The checkout is {}.", checkout.status)),
            false => Outcome::done(),
        })
    }

    pub(super) fn require_action(&mut self, id: Uuid, payload: &Value) -> Outcome {
        let asks =
            serde_json::from_value::<RequireAction>(payload.clone()).is_ok_and(|input| input.reason == REQUIRES_ACTION);
        if let Some(checkout) = self.by_id.get_mut(&id).filter(|checkout| asks && checkout.status == Status::Processing)
        {
            checkout.resend_at = checkout.resend_at.filter(|_| checkout.cancel_requested);
            self.become_status(id, Status::RequiresAction);
        }
        Outcome::done()
    }

    pub(super) fn close(&mut self, id: Uuid, payload: &Value) -> anyhow::Result<Outcome> {
        let input: CloseCheckout = serde_json::from_value(payload.clone())?;
        let decision = checkout::decide(input.ended, input.reason.as_ref());
        let Some(checkout) = self.by_id.get_mut(&id) else {
            return Ok(Outcome::defect(format!("There is no checkout {id}.")));
        };
        if checkout.status.is_final() {
            return Ok(Outcome::done());
        }
        if !checkout.is_opened && decision.status == Status::Completed {
            return Ok(Outcome::defect(format!("The saga completed while its checkout {id} is {}.", checkout.status)));
        }
        checkout.resend_at = None;
        self.become_status(id, decision.status);
        Ok(Outcome::done())
    }
}

impl Checkout {
    fn start(&self) -> Message {
        let confirmed = self.confirmation.as_ref().filter(|_| self.confirmed_in_call);
        let signals = confirmed.map(|payment_method| {
            (CONFIRMATION.to_owned(), json!(Confirmation { payment_method: payment_method.clone() }))
        });
        Message::Start(StartSaga {
            saga_id: self.input.checkout_id,
            definition: CHECKOUT_SAGA.to_owned(),
            reference: self.input.order_id.to_string(),
            customer: None,
            input: json!(self.input),
            signals: signals.into_iter().collect::<Map<_, _>>(),
            traceparent: None,
        })
    }

    fn signal(&self) -> Option<Message> {
        let payment_method = self.confirmation.clone()?;
        Some(Message::Signal(SignalSaga {
            saga_id: self.input.checkout_id,
            signal: CONFIRMATION.to_owned(),
            payload: json!(Confirmation { payment_method }),
        }))
    }

    fn cancellation(&self) -> Message {
        Message::Cancel(CancelSaga {
            saga_id: self.input.checkout_id,
            code: "cancelled".to_owned(),
            detail: "The buyer called it off.".to_owned(),
        })
    }
}
