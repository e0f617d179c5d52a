//! A transfer of the ledger as HTTP shows it.

use makegood_contracts::{
    id::{OrderId, PaymentIntentId},
    money::{Money, MoneyJson},
};
use serde::Serialize;
use sqlx::{FromRow, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::intent_json::money;

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Transfer)]
pub(super) struct TransferJson {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// Transfers of one txn were booked together.
    #[schema(value_type = String, format = "uuid")]
    txn_id: Uuid,
    /// `psp_receivable`, `order_clearing`, `sales` or `refund_contra`.
    debit: String,
    credit: String,
    #[schema(value_type = MoneyJson)]
    amount: Money,
    /// `posted`; `pending`, which is on no balance; `post` or `void`, which resolve a pending one.
    kind: String,
    #[schema(value_type = Option<String>, format = "uuid")]
    pending_id: Option<Uuid>,
    /// `authorization`, `sale` or `refund`.
    code: String,
    #[schema(value_type = String, format = "uuid")]
    operation_id: Uuid,
    #[schema(value_type = String)]
    payment_intent_id: PaymentIntentId,
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    occurred_at: OffsetDateTime,
}

impl FromRow<'_, PgRow> for TransferJson {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            txn_id: row.try_get("txn_id")?,
            debit: row.try_get("debit")?,
            credit: row.try_get("credit")?,
            amount: money(row.try_get("amount_minor")?, row.try_get("currency")?)?,
            kind: row.try_get("kind")?,
            pending_id: row.try_get("pending_id")?,
            code: row.try_get("code")?,
            operation_id: row.try_get("operation_id")?,
            payment_intent_id: PaymentIntentId::from_uuid(row.try_get("intent_id")?),
            order_id: row.try_get::<Option<Uuid>, _>("order_id")?.map(OrderId::from_uuid),
            occurred_at: row.try_get("occurred_at")?,
        })
    }
}

/// The transfers of some intents, oldest first.
pub(super) async fn of_intents(db: &sqlx::PgPool, intent_ids: &[Uuid]) -> Result<Vec<TransferJson>, sqlx::Error> {
    sqlx::query_as(
        r"select t.id, t.txn_id, d.code as debit, c.code as credit, t.amount_minor, t.currency, t.kind, t.pending_id,
                 t.code, t.operation_id, t.intent_id, t.order_id, t.occurred_at
          from transfer t
          join ledger_account d on d.id = t.debit_account
          join ledger_account c on c.id = t.credit_account
          where t.intent_id = any($1)
          order by t.occurred_at, t.txn_id, t.seq",
    )
    .bind(intent_ids)
    .fetch_all(db)
    .await
}
