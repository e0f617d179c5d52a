//! An operation at the provider as HTTP shows it.

use makegood_contracts::money::{Money, MoneyJson};
use serde::Serialize;
use sqlx::{FromRow, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::intent_json::money;

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentOperation)]
pub(super) struct OperationJson {
    /// Also what the provider knows it by.
    #[schema(value_type = String, format = "uuid")]
    operation_id: Uuid,
    /// `authorize`, `capture`, `void` or `refund`.
    kind: String,
    /// `started`, `unknown`, `action_required`, `succeeded` or `declined`.
    state: String,
    #[schema(value_type = MoneyJson)]
    amount: Money,
    provider_reference: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    #[schema(value_type = Option<String>, format = "uuid")]
    refund_id: Option<Uuid>,
    reason: Option<String>,
    /// The name of the key that asked for it by hand; null where a saga's step did.
    actor: Option<String>,
    /// How often its outcome was looked for.
    asked: i32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<OffsetDateTime>,
}

impl FromRow<'_, PgRow> for OperationJson {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            operation_id: row.try_get("operation_id")?,
            kind: row.try_get("kind")?,
            state: row.try_get("state")?,
            amount: money(row.try_get("amount_minor")?, row.try_get("currency")?)?,
            provider_reference: row.try_get("provider_reference")?,
            code: row.try_get("code")?,
            decline_code: row.try_get("decline_code")?,
            refund_id: row.try_get("refund_id")?,
            reason: row.try_get("reason")?,
            actor: row.try_get("actor")?,
            asked: row.try_get("asked")?,
            created_at: row.try_get("created_at")?,
            decided_at: row.try_get("decided_at")?,
        })
    }
}
