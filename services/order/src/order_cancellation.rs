//! The cancellation of a completed order: its row, which is also the outbox of its saga's start.
//!
//! The row is the lock on the order: while one is undecided, no other can be written (`order_cancellation_one_at_a_time`).
//! Its saga is started right after the commit, and again until `begin_cancel` shows that it runs.

use makegood_contracts::{
    account::Account,
    id::OrderId,
    money::Money,
    orchestrator::StartSaga,
    order::{CANCEL_ORDER_SAGA, CancelOrderInput},
};
use serde_json::Map;
use sqlx::PgPool;
use uuid::Uuid;

use anyhow::Context as _;

use crate::saga_message::{self, SagaMessages};

/// Rows in one round: a message's worth.
const MAX_ROUND: i64 = 128;

/// What a cancellation's saga is started with, as its row and its order's have it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct RequestedCancellation {
    pub(crate) id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) checkout_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) livemode: bool,
    pub(crate) email: String,
    pub(crate) total_minor: i64,
    pub(crate) currency: String,
    pub(crate) reason: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// The start of a cancellation's saga.
pub(crate) fn start(requested: &RequestedCancellation) -> anyhow::Result<StartSaga> {
    let total = Money::from_columns(requested.total_minor, &requested.currency);
    let input = CancelOrderInput {
        account: Account { id: requested.account_id, livemode: requested.livemode },
        cancellation_id: requested.id,
        order_id: requested.order_id,
        checkout_id: requested.checkout_id,
        total: total.with_context(|| format!("reading the total of order {}", requested.order_id))?,
        reason: requested.reason.clone(),
    };
    Ok(StartSaga {
        saga_id: requested.id,
        definition: CANCEL_ORDER_SAGA.to_owned(),
        reference: OrderId::from_uuid(requested.order_id).to_string(),
        customer: Some(requested.email.clone()),
        input: serde_json::to_value(input)?,
        signals: Map::new(),
        traceparent: requested.traceparent.clone(),
    })
}

/// Takes the cancellations whose saga is to be started again, and sets their next timer first: if publishing fails, they are
/// simply due again.
pub(crate) async fn take_due(db: &PgPool) -> anyhow::Result<SagaMessages> {
    let due = sqlx::query(
        r#"
        with due as (
            select id from order_cancellation where resend_at <= now() order by resend_at limit $1 for update skip locked
        ), taken as (
            update order_cancellation c
            set resend_count = resend_count + 1,
                resend_at = now() + least(interval '5 s' * (2 ^ least(resend_count + 1, 10)), interval '60 s')
            from due
            where c.id = due.id
            returning c.id, c.order_id, c.reason, c.traceparent
        )
        select taken.id, taken.order_id, orders.checkout_id, orders.account_id, orders.livemode, orders.email,
               orders.total_minor, orders.currency, taken.reason, taken.traceparent
        from taken join orders on orders.id = taken.order_id
        "#,
    )
    .bind(MAX_ROUND)
    .fetch_all(db)
    .await
    .context("taking cancellations whose saga is to be started again")?;
    Ok(saga_message::of_rows(&due, |requested: &RequestedCancellation| {
        Ok(SagaMessages { starts: vec![start(requested)?], ..SagaMessages::default() })
    }))
}
