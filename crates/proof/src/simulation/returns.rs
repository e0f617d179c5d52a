//! The returns of what was shipped, as the order service keeps them: the row decides between the goods, the deadline and
//! whoever calls it off, and is the outbox of its saga. What can be announced and what it is worth is the service's own rule
//! (`makegood_order::order_return`); written again because they are conditions of SQL there are the locks and the states
//! (`http/{return_order,receive_return,cancel_return}`, `commands/{begin_return,accept_return,end_return}`).

use std::collections::BTreeMap;

use makegood_contracts::{
    cart::PricedLine,
    inventory::ReturnedLine,
    money::Money,
    orchestrator::{CancelSaga, Ending, SignalSaga, StartSaga},
    order_return::{
        AcceptReturn, AcceptedReturn, BeginReturn, BegunReturn, EndReturn, GOODS_RECEIVED, RETURN_ORDER_SAGA,
        ReceivedGoods, ReturnOrderInput,
    },
    reply::Outcome,
};
use makegood_order::{
    order_return::{
        Arrived, RETURN_CANCELLED, RETURN_EXPIRED, ReturnLine, Status, Units, announce, receive, refund_minor, restock,
    },
    refund_share::Share,
};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    ACCOUNT, Simulation,
    checkouts::{TOLD_AGAIN, told_again_at},
    wire::Message,
};
use crate::bug::Bug;

/// Shorter than the shop's own, so that returns expire while much else goes on.
pub(super) const RECEIVE_WITHIN: Duration = Duration::seconds(40);

pub(super) struct Return {
    pub(super) checkout: Uuid,
    pub(super) status: Status,
    pub(super) lines: Vec<ReturnLine>,
    total: Money,
    receive_by: OffsetDateTime,
    /// Why it came to nothing.
    failure_code: Option<&'static str>,
    is_begun: bool,
    has_ended: bool,
    resend_at: Option<OffsetDateTime>,
    resend_count: u32,
}

#[derive(Default)]
pub(super) struct Returns {
    pub(super) by_id: BTreeMap<Uuid, Return>,
    /// The first decision that was taken back.
    pub(super) broken: Option<String>,
}

/// What a return is announced of.
pub(super) struct Sale {
    pub(super) checkout: Uuid,
    pub(super) lines: Vec<PricedLine>,
    pub(super) total: Money,
}

impl Returns {
    /// Goods are announced, if the order's other returns have left them; what the saga is told first.
    pub(super) fn announce(
        &mut self,
        id: Uuid,
        sale: &Sale,
        wanted: &Units,
        now: OffsetDateTime,
        are_others_forgotten: bool,
    ) -> anyhow::Result<Vec<Message>> {
        let mut taken: BTreeMap<String, Share> = BTreeMap::new();
        for other in self.of(sale.checkout).filter(|_| !are_others_forgotten) {
            for line in &other.lines {
                taken.entry(line.line.clone()).or_default().add(line.taken(other.status));
            }
        }
        let Ok(lines) = announce(&sale.lines, sale.total.minor_units, &taken, wanted)? else { return Ok(Vec::new()) };
        let announced = Return {
            checkout: sale.checkout,
            status: Status::Open,
            lines,
            total: sale.total,
            receive_by: now + RECEIVE_WITHIN,
            failure_code: None,
            is_begun: false,
            has_ended: false,
            resend_at: Some(now + TOLD_AGAIN),
            resend_count: 0,
        };
        let messages = announced.messages(id);
        self.by_id.insert(id, announced);
        Ok(messages)
    }

    /// Somebody says what came, in time or not: while the row is open it counts.
    pub(super) fn receive(&mut self, id: Uuid, arrived: &Arrived, now: OffsetDateTime) -> Vec<Message> {
        let Some(one) = self.by_id.get_mut(&id).filter(|one| one.status == Status::Open) else { return Vec::new() };
        let Ok(lines) = receive(&one.lines, arrived) else { return Vec::new() };
        one.lines = lines;
        self.decide(id, Status::Received, None);
        self.tell(id, now)
    }

    pub(super) fn call_off(&mut self, id: Uuid, now: OffsetDateTime, is_unlocked: bool) -> Vec<Message> {
        let may_be = |one: &&Return| one.status == Status::Open || (is_unlocked && !one.has_ended);
        if self.by_id.get(&id).filter(may_be).is_none() {
            return Vec::new();
        }
        self.decide(id, Status::Cancelled, Some(RETURN_CANCELLED));
        self.tell(id, now)
    }

    fn tell(&mut self, id: Uuid, now: OffsetDateTime) -> Vec<Message> {
        let Some(one) = self.by_id.get_mut(&id) else { return Vec::new() };
        one.resend_at = Some(now + TOLD_AGAIN);
        one.resend_count = 0;
        one.messages(id)
    }

    /// Goods that were taken in are neither late nor called off, and what came to nothing stays so.
    fn decide(&mut self, id: Uuid, next: Status, failure_code: Option<&'static str>) {
        let Some(one) = self.by_id.get_mut(&id) else { return };
        let may_become = match one.status {
            Status::Open => next != Status::Completed,
            Status::Received => matches!(next, Status::Completed | Status::Refused),
            Status::Completed | Status::Cancelled | Status::Expired | Status::Refused => false,
        };
        if !may_become {
            let status = one.status;
            self.broken.get_or_insert_with(|| format!("return {id} went from {status:?} to {next:?}"));
        }
        one.status = next;
        one.failure_code = failure_code;
    }

    pub(super) fn take_due(&mut self, now: OffsetDateTime) -> Vec<Message> {
        let mut messages = Vec::new();
        for (id, one) in self.by_id.iter_mut().filter(|(_, one)| one.resend_at.is_some_and(|at| at <= now)) {
            one.resend_at = Some(told_again_at(&mut one.resend_count, now));
            messages.extend(one.messages(*id));
        }
        messages
    }

    pub(super) fn begin(&mut self, payload: &Value) -> anyhow::Result<Outcome> {
        let BeginReturn { return_id } = serde_json::from_value(payload.clone())?;
        let Some(one) = self.by_id.get_mut(&return_id) else { return Ok(unknown(return_id)) };
        if !one.is_begun {
            one.is_begun = true;
            one.resend_at = one.resend_at.filter(|_| one.status != Status::Open);
        }
        Ok(match one.status {
            Status::Open | Status::Received | Status::Completed => {
                Outcome::Done { output: serde_json::to_value(BegunReturn { receive_by: one.receive_by })? }
            }
            Status::Cancelled | Status::Expired | Status::Refused => one.refused(),
        })
    }

    /// The pivot: the row says what came, and an open one has expired.
    pub(super) fn accept(&mut self, payload: &Value) -> anyhow::Result<Outcome> {
        let AcceptReturn { return_id } = serde_json::from_value(payload.clone())?;
        let Some(one) = self.by_id.get_mut(&return_id) else { return Ok(unknown(return_id)) };
        if matches!(one.status, Status::Open | Status::Received) {
            one.is_begun = true;
            one.resend_at = None;
        }
        if one.status == Status::Open {
            self.decide(return_id, Status::Expired, Some(RETURN_EXPIRED));
        }
        let one = &self.by_id[&return_id];
        Ok(match one.status {
            Status::Received | Status::Completed => Outcome::Done { output: serde_json::to_value(one.accepted())? },
            Status::Open | Status::Cancelled | Status::Expired | Status::Refused => one.refused(),
        })
    }

    pub(super) fn end(&mut self, payload: &Value) -> anyhow::Result<Outcome> {
        let input: EndReturn = serde_json::from_value(payload.clone())?;
        let id = input.input.return_id;
        let Some(one) = self.by_id.get(&id) else { return Ok(unknown(id)) };
        match (input.ended, one.status) {
            _ if one.has_ended => return Ok(Outcome::done()),
            (Ending::Completed, Status::Received) => self.decide(id, Status::Completed, None),
            (Ending::Completed, status) => {
                return Ok(Outcome::defect(format!("The saga completed while its return {id} is {status:?}.")));
            }
            (Ending::Compensated, Status::Open | Status::Received) => self.decide(id, Status::Refused, None),
            (Ending::Compensated, _) => {}
        }
        if let Some(one) = self.by_id.get_mut(&id) {
            one.has_ended = true;
            one.resend_at = None;
        }
        Ok(Outcome::done())
    }

    pub(super) fn are_decided(&self) -> bool {
        self.by_id.values().all(|one| one.has_ended)
    }

    fn of(&self, checkout: Uuid) -> impl Iterator<Item = &Return> {
        self.by_id.values().filter(move |one| one.checkout == checkout)
    }
}

impl Return {
    /// What its saga is to be told, as the row stands.
    fn messages(&self, id: Uuid) -> Vec<Message> {
        let mut messages = Vec::new();
        if !self.is_begun {
            messages.push(self.start(id));
        }
        match self.status {
            Status::Received => {
                let units = self.lines.iter().map(|line| line.received).sum();
                let payload = json!(ReceivedGoods { return_id: id, units });
                messages.push(Message::Signal(SignalSaga { saga_id: id, signal: GOODS_RECEIVED.to_owned(), payload }));
            }
            Status::Cancelled => {
                let (code, detail) = (RETURN_CANCELLED.to_owned(), "It was called off.".to_owned());
                messages.push(Message::Cancel(CancelSaga { saga_id: id, code, detail }));
            }
            Status::Open | Status::Completed | Status::Expired | Status::Refused => {}
        }
        messages
    }

    fn start(&self, id: Uuid) -> Message {
        let input = ReturnOrderInput {
            account: ACCOUNT,
            return_id: id,
            order_id: self.checkout,
            checkout_id: self.checkout,
            reason: None,
        };
        Message::Start(StartSaga {
            saga_id: id,
            definition: RETURN_ORDER_SAGA.to_owned(),
            reference: self.checkout.to_string(),
            customer: None,
            input: json!(input),
            signals: Map::new(),
            traceparent: None,
        })
    }

    fn accepted(&self) -> AcceptedReturn {
        let (refund_minor, restock) = (refund_minor(&self.lines, self.status), restock(&self.lines));
        AcceptedReturn {
            refund: Money { minor_units: refund_minor, ..self.total },
            nothing_to_refund: refund_minor == 0,
            nothing_to_restock: restock.is_empty(),
            restock,
        }
    }

    fn refused(&self) -> Outcome {
        Outcome::refused(self.failure_code.unwrap_or("return_refused"), "The return came to nothing.")
    }
}

fn unknown(id: Uuid) -> Outcome {
    Outcome::defect(format!("There is no return {id}."))
}

impl Simulation {
    /// All that was announced has ended, and exactly what came is paid back and in stock again.
    pub(super) fn judge_returns(&mut self) {
        let ids = self.returns.by_id.keys().copied().collect();
        self.judge_all_of("return", ids);
        let more_than_sold = |checkout: &&Uuid| {
            let sold: i64 = self.checkouts.by_id[checkout].sold.iter().map(|line| line.quantity).sum();
            let lines = self.returns.of(**checkout).filter(|one| one.status == Status::Completed);
            lines.flat_map(|one| &one.lines).map(|line| line.received).sum::<i64>() > sold
        };
        if let Some(checkout) = self.checkouts.by_id.keys().find(more_than_sold).copied() {
            self.breaks(format!("more came back of order {checkout} than was sold"));
        }
    }

    /// What is to go back for an order's completed returns; none where an operator went on without one of them.
    pub(super) fn due_for_returns(&self, checkout: Uuid) -> Option<i64> {
        let returns = self.returns.by_id.iter().filter(|(_, one)| one.checkout == checkout);
        let mut due = 0;
        for (id, one) in returns {
            if self.is_left_out(*id, "refund_payment") {
                return None;
            }
            if one.status == Status::Completed {
                due += refund_minor(&one.lines, Status::Completed);
            }
        }
        Some(due)
    }

    pub(super) fn broken_by_returning(&self, saga: Uuid) -> Option<String> {
        let one = self.returns.by_id.get(&saga)?;
        if one.status != Status::Completed {
            return Some(format!("took goods back, and its return is {:?}", one.status));
        }
        let wanted: i64 = restock(&one.lines).iter().map(|ReturnedLine { quantity, .. }| quantity).sum();
        let back = self.stock.returned_by(saga);
        (back != wanted && !self.is_left_out(saga, "restock_return"))
            .then(|| format!("took goods back, and {back} of {wanted} units are in stock again"))
    }

    pub(super) fn broken_by_taking_nothing_back(&self, saga: Uuid) -> Option<String> {
        let status = self.returns.by_id.get(&saga)?.status;
        if !matches!(status, Status::Cancelled | Status::Expired | Status::Refused) {
            return Some(format!("was compensated, and its return is {status:?}"));
        }
        let back = self.stock.returned_by(saga);
        (back != 0).then(|| format!("was compensated, and {back} units are in stock again"))
    }

    /// Only what has left, and was not called off.
    pub(super) fn announce_return(&mut self, checkout: Uuid, id: Uuid, wanted: &Units) -> Vec<Message> {
        if !self.cancellations.has_left(checkout) || self.cancellations.is_called_off(checkout) {
            return Vec::new();
        }
        let Some(order) = self.checkouts.by_id.get(&checkout) else { return Vec::new() };
        let Some(total) = order.total else { return Vec::new() };
        let sale = Sale { checkout, lines: order.sold.clone(), total };
        let are_others_forgotten = self.bug == Some(Bug::ReturnedUnitsNotCounted);
        match self.returns.announce(id, &sale, wanted, self.schedule.now, are_others_forgotten) {
            Ok(messages) => messages,
            Err(error) => {
                self.breaks(format!("a return cannot be announced: {error:#}"));
                Vec::new()
            }
        }
    }
}
