//! A return as its row has it, with what its saga and its callers need of its order.

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_contracts::{account::Account, money::Money};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::order_return::{ReturnLine, Status};

/// The columns of [`ReturnRow`], from `order_return` and its order.
macro_rules! return_columns {
    () => {
        "order_return.id, order_return.order_id, orders.checkout_id, order_return.account_id, order_return.livemode, orders.email, \
         orders.currency, order_return.reason, order_return.status, order_return.lines, order_return.refund_minor, \
         order_return.receive_by, order_return.failure_code, order_return.begun, order_return.traceparent, \
         order_return.created_at, order_return.received_at, order_return.decided_at, order_return.ended_at"
    };
}
pub(crate) use return_columns;

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct ReturnRow {
    pub(crate) id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) checkout_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) livemode: bool,
    pub(crate) email: String,
    pub(crate) currency: String,
    pub(crate) reason: Option<String>,
    #[sqlx(try_from = "String")]
    pub(crate) status: Status,
    pub(crate) lines: Json<Vec<ReturnLine>>,
    pub(crate) refund_minor: i64,
    pub(crate) receive_by: OffsetDateTime,
    pub(crate) failure_code: Option<String>,
    pub(crate) begun: bool,
    pub(crate) traceparent: Option<String>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) received_at: Option<OffsetDateTime>,
    pub(crate) decided_at: Option<OffsetDateTime>,
    pub(crate) ended_at: Option<OffsetDateTime>,
}

impl ReturnRow {
    /// In the currency of its order.
    pub(crate) fn money(&self, minor: i64) -> anyhow::Result<Money> {
        Money::from_columns(minor, &self.currency).with_context(|| format!("reading the refund of return {}", self.id))
    }

    /// How many units came.
    pub(crate) fn received_units(&self) -> i64 {
        self.lines.iter().map(|line| line.received).sum()
    }
}

/// Locks one return of a shop until the caller's transaction ends.
pub(crate) async fn lock(tx: &mut PgConnection, account: Account, id: Uuid) -> Result<Option<ReturnRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select ",
        return_columns!(),
        " from order_return join orders on orders.id = order_return.order_id
          where order_return.id = $1 and order_return.account_id = $2 and order_return.livemode = $3 for update of order_return"
    ))
    .bind(id)
    .bind(account.id)
    .bind(account.livemode)
    .fetch_optional(tx)
    .await
}

/// Locks the returns of a batch, in the order of their ids. One that does not exist is absent.
pub(crate) async fn lock_all(tx: &mut PgConnection, ids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, ReturnRow>> {
    let rows: Vec<ReturnRow> = sqlx::query_as(concat!(
        "select ",
        return_columns!(),
        " from order_return join orders on orders.id = order_return.order_id
          where order_return.id = any($1) order by order_return.id for update of order_return"
    ))
    .bind(ids)
    .fetch_all(tx)
    .await
    .context("locking returns")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}
