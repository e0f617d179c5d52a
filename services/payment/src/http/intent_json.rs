//! A payment intent as HTTP shows it.

use makegood_contracts::{
    id::{OrderId, PaymentIntentId, SagaId},
    money::{Money, MoneyJson},
};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// The columns that [`IntentJson`] is read from.
pub(super) const COLUMNS: &str = "id, saga_id, order_id, reference, currency, payment_method, state, amount_minor, captured_minor, \
                                  refunding_minor, refunded_minor, last_error, version, created_at, updated_at";

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentIntent)]
pub(super) struct IntentJson {
    #[schema(value_type = String, example = "pi_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    id: PaymentIntentId,
    #[schema(value_type = Option<String>)]
    saga_id: Option<SagaId>,
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    reference: Option<String>,
    payment_method: String,
    /// `requires_confirmation`, `processing`, `requires_action`, `requires_capture`, `succeeded`, `canceled` or `failed`.
    state: String,
    #[schema(value_type = MoneyJson)]
    amount: Money,
    #[schema(value_type = MoneyJson)]
    captured: Money,
    /// Asked back and undecided.
    #[schema(value_type = MoneyJson)]
    refunding: Money,
    #[schema(value_type = MoneyJson)]
    refunded: Money,
    /// `{"code", "decline_code"}` of the last refusal.
    last_error: Option<Value>,
    version: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: OffsetDateTime,
}

impl FromRow<'_, PgRow> for IntentJson {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let currency: &str = row.try_get("currency")?;
        let money = |column: &str| money(row.try_get(column)?, currency);
        Ok(Self {
            id: PaymentIntentId::from_uuid(row.try_get("id")?),
            saga_id: row.try_get::<Option<Uuid>, _>("saga_id")?.map(SagaId::from_uuid),
            order_id: row.try_get::<Option<Uuid>, _>("order_id")?.map(OrderId::from_uuid),
            reference: row.try_get("reference")?,
            payment_method: row.try_get("payment_method")?,
            state: row.try_get("state")?,
            amount: money("amount_minor")?,
            captured: money("captured_minor")?,
            refunding: money("refunding_minor")?,
            refunded: money("refunded_minor")?,
            last_error: row.try_get("last_error")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// Money of a row's two columns; a currency that does not exist is a damaged row.
pub(super) fn money(minor_units: i64, currency: &str) -> Result<Money, sqlx::Error> {
    Money::from_columns(minor_units, currency).map_err(|error| sqlx::Error::Decode(error.into()))
}
