//! The cancellations of orders, as the order service keeps them: the row is the lock on its order and the outbox of its saga.
//! Written again because they are conditions of SQL there (`http/cancel_order`, `commands/{begin_cancel,end_cancel}`).

use std::collections::{BTreeMap, BTreeSet};

use makegood_contracts::{
    money::Money,
    orchestrator::{Ending, StartSaga},
    order::{BeginCancel, CANCEL_ORDER_SAGA, CancelOrderInput, EndCancel},
    reply::Outcome,
};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    ACCOUNT,
    checkouts::{TOLD_AGAIN, told_again_at},
    wire::Message,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Requested,
    Started,
    Completed,
    Refused,
}

pub(super) struct Cancellation {
    pub(super) checkout: Uuid,
    pub(super) status: Status,
    total: Money,
    resend_at: Option<OffsetDateTime>,
    resend_count: u32,
}

#[derive(Default)]
pub(super) struct Cancellations {
    pub(super) by_id: BTreeMap<Uuid, Cancellation>,
    /// Orders of which the order service knows that a part has left.
    left: BTreeSet<Uuid>,
}

impl Cancellations {
    /// The wish to call a completed order off; what its saga is told first, unless it is refused.
    pub(super) fn request(
        &mut self,
        id: Uuid,
        checkout: Uuid,
        total: Money,
        now: OffsetDateTime,
        is_locked: bool,
    ) -> Option<Message> {
        if self.left.contains(&checkout) || (is_locked && self.is_called_off(checkout)) {
            return None;
        }
        let cancellation = Cancellation {
            checkout,
            status: Status::Requested,
            total,
            resend_at: Some(now + TOLD_AGAIN),
            resend_count: 0,
        };
        let message = cancellation.start(id);
        self.by_id.insert(id, cancellation);
        Some(message)
    }

    /// Whether one is under way or has gone through.
    pub(super) fn is_called_off(&self, checkout: Uuid) -> bool {
        self.of(checkout).any(|one| one.status != Status::Refused)
    }

    pub(super) fn has_gone_through(&self, checkout: Uuid) -> bool {
        self.of(checkout).any(|one| one.status == Status::Completed)
    }

    /// An order that two cancellations took back.
    pub(super) fn gone_through_twice(&self) -> Option<Uuid> {
        let completed = self.by_id.values().filter(|one| one.status == Status::Completed);
        let mut orders = BTreeSet::new();
        completed.map(|one| one.checkout).find(|checkout| !orders.insert(*checkout))
    }

    fn of(&self, checkout: Uuid) -> impl Iterator<Item = &Cancellation> {
        self.by_id.values().filter(move |one| one.checkout == checkout)
    }

    pub(super) fn are_decided(&self) -> bool {
        self.by_id.values().all(|one| matches!(one.status, Status::Completed | Status::Refused))
    }

    pub(super) fn has_left(&self, checkout: Uuid) -> bool {
        self.left.contains(&checkout)
    }

    /// `shipment.shipped` has come.
    pub(super) fn learn_that_it_left(&mut self, checkout: Uuid) {
        self.left.insert(checkout);
    }

    pub(super) fn take_due(&mut self, now: OffsetDateTime) -> Vec<Message> {
        let mut messages = Vec::new();
        for (id, one) in self.by_id.iter_mut().filter(|(_, one)| one.resend_at.is_some_and(|at| at <= now)) {
            one.resend_at = Some(told_again_at(&mut one.resend_count, now));
            messages.push(one.start(*id));
        }
        messages
    }

    pub(super) fn begin(&mut self, payload: &Value) -> anyhow::Result<Outcome> {
        let BeginCancel { cancellation_id } = serde_json::from_value(payload.clone())?;
        let Some(one) = self.by_id.get_mut(&cancellation_id) else {
            return Ok(Outcome::defect(format!("There is no cancellation {cancellation_id}.")));
        };
        if one.status == Status::Requested {
            one.status = Status::Started;
            one.resend_at = None;
        }
        Ok(match self.left.contains(&one.checkout) {
            true => Outcome::refused("order_shipped", "A part of the order has left."),
            false => Outcome::done(),
        })
    }

    pub(super) fn end(&mut self, payload: &Value) -> anyhow::Result<Outcome> {
        let input: EndCancel = serde_json::from_value(payload.clone())?;
        let Some(one) = self.by_id.get_mut(&input.input.cancellation_id) else {
            return Ok(Outcome::defect(format!("There is no cancellation {}.", input.input.cancellation_id)));
        };
        if matches!(one.status, Status::Requested | Status::Started) {
            one.status = if input.ended == Ending::Completed { Status::Completed } else { Status::Refused };
            one.resend_at = None;
        }
        Ok(Outcome::done())
    }
}

impl Cancellation {
    fn start(&self, id: Uuid) -> Message {
        let input = CancelOrderInput {
            account: ACCOUNT,
            cancellation_id: id,
            order_id: self.checkout,
            checkout_id: self.checkout,
            total: self.total,
            reason: None,
        };
        Message::Start(StartSaga {
            saga_id: id,
            definition: CANCEL_ORDER_SAGA.to_owned(),
            reference: self.checkout.to_string(),
            customer: None,
            input: json!(input),
            signals: Map::new(),
            traceparent: None,
        })
    }
}
