//! A return as its own outbox: what its saga has not been seen to know is told again. That it was asked for, until
//! `begin_return`; that the goods have come, until `accept_return`; that it was called off, until `end_return`.

use anyhow::Context as _;
use makegood_contracts::{
    account::Account,
    id::OrderId,
    orchestrator::{CancelSaga, SignalSaga, StartSaga},
    order_return::{GOODS_RECEIVED, RETURN_ORDER_SAGA, ReceivedGoods, ReturnOrderInput},
};
use serde_json::Map;
use sqlx::PgPool;

use crate::{
    order_return::{RETURN_CANCELLED, Status},
    return_row::{ReturnRow, return_columns},
    saga_message::{self, SagaMessages},
};

/// Rows in one round: a message's worth.
const MAX_ROUND: i64 = 128;

/// What the saga of a return is to be told, as its row stands.
pub(crate) fn messages(row: &ReturnRow) -> anyhow::Result<SagaMessages> {
    let mut messages = SagaMessages::default();
    if !row.begun {
        messages.starts.push(start(row)?);
    }
    match row.status {
        Status::Received => messages.signals.push(goods_received(row)?),
        Status::Cancelled => messages.cancels.push(cancellation(row)),
        Status::Open | Status::Completed | Status::Expired | Status::Refused => {}
    }
    Ok(messages)
}

fn start(row: &ReturnRow) -> anyhow::Result<StartSaga> {
    let input = ReturnOrderInput {
        account: Account { id: row.account_id, livemode: row.livemode },
        return_id: row.id,
        order_id: row.order_id,
        checkout_id: row.checkout_id,
        reason: row.reason.clone(),
    };
    Ok(StartSaga {
        saga_id: row.id,
        definition: RETURN_ORDER_SAGA.to_owned(),
        reference: OrderId::from_uuid(row.order_id).to_string(),
        customer: Some(row.email.clone()),
        input: serde_json::to_value(input)?,
        signals: Map::new(),
        traceparent: row.traceparent.clone(),
    })
}

fn goods_received(row: &ReturnRow) -> anyhow::Result<SignalSaga> {
    let goods = ReceivedGoods { return_id: row.id, units: row.received_units() };
    Ok(SignalSaga { saga_id: row.id, signal: GOODS_RECEIVED.to_owned(), payload: serde_json::to_value(goods)? })
}

fn cancellation(row: &ReturnRow) -> CancelSaga {
    CancelSaga {
        saga_id: row.id,
        code: RETURN_CANCELLED.to_owned(),
        detail: "The return was called off before its goods came.".to_owned(),
    }
}

/// Takes the returns whose saga is to be told again, and sets their next timer first: if publishing fails, they are simply due
/// again.
pub(crate) async fn take_due(db: &PgPool) -> anyhow::Result<SagaMessages> {
    let due = sqlx::query(concat!(
        "
        with due as (
            select id from order_return where resend_at <= now() order by resend_at limit $1 for update skip locked
        ), taken as (
            update order_return
            set resend_count = resend_count + 1,
                resend_at = now() + least(interval '5 s' * (2 ^ least(resend_count + 1, 10)), interval '60 s')
            from due
            where order_return.id = due.id
            returning order_return.*
        )
        select ",
        return_columns!(),
        " from taken as order_return join orders on orders.id = order_return.order_id"
    ))
    .bind(MAX_ROUND)
    .fetch_all(db)
    .await
    .context("taking returns whose saga is to be told again")?;
    Ok(saga_message::of_rows(&due, messages))
}
