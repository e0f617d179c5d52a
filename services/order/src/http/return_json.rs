//! A return as it is read.

use makegood_contracts::{
    id::{OrderId, ReturnId},
    money::{Money, MoneyJson},
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{order_return::ReturnLine, return_row::ReturnRow};

/// A return of goods.
#[derive(Serialize, ToSchema)]
#[schema(as = Return)]
pub(super) struct ReturnJson {
    #[schema(value_type = String, example = "ret_0198f0c2a3b47c5d8e9f0a1b2c3d4e63")]
    id: ReturnId,
    #[schema(value_type = String, example = "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e60")]
    order_id: OrderId,
    /// `open` until somebody says what came, then `received` and `completed` when the money is back; or `cancelled`, `expired`
    /// or `refused`.
    status: &'static str,
    reason: Option<String>,
    lines: Vec<ReturnLineJson>,
    /// What goes back: for all that is announced, and once it is received for what came.
    #[schema(value_type = MoneyJson)]
    refund: Money,
    /// So long the goods are waited for.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    receive_by: OffsetDateTime,
    /// Why it came to nothing, such as `return_expired`.
    failure_code: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    received_at: Option<OffsetDateTime>,
    /// When it was completed, or came to nothing.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<OffsetDateTime>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReturnLine)]
struct ReturnLineJson {
    /// The order's line.
    line: String,
    sku: String,
    /// Announced.
    quantity: i64,
    /// What came; null while it is waited for.
    received: Option<i64>,
    /// Of that, what can be sold again.
    restock: Option<i64>,
    #[schema(value_type = MoneyJson)]
    refund: Money,
}

impl ReturnJson {
    /// An amount that cannot be told means a damaged row.
    pub(super) fn of(row: &ReturnRow) -> anyhow::Result<Self> {
        let lines = row.lines.iter().map(|line| line_json(row, line)).collect::<anyhow::Result<_>>()?;
        Ok(Self {
            id: ReturnId::from_uuid(row.id),
            order_id: OrderId::from_uuid(row.order_id),
            status: row.status.as_str(),
            reason: row.reason.clone(),
            lines,
            refund: row.money(row.refund_minor)?,
            receive_by: row.receive_by,
            failure_code: row.failure_code.clone(),
            created_at: row.created_at,
            received_at: row.received_at,
            decided_at: row.decided_at,
        })
    }
}

fn line_json(row: &ReturnRow, line: &ReturnLine) -> anyhow::Result<ReturnLineJson> {
    let is_received = row.received_at.is_some();
    let minor = if is_received { line.refund_minor } else { line.amount_minor };
    Ok(ReturnLineJson {
        line: line.line.clone(),
        sku: line.sku.clone(),
        quantity: line.quantity,
        received: is_received.then_some(line.received),
        restock: is_received.then_some(line.restock),
        refund: row.money(minor)?,
    })
}
