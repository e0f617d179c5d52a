//! `GET /sandbox/books/charges?order_id=`: the provider's side of one order.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    problem::Problem,
};
use makegood_contracts::{
    id::OrderId,
    money::{Money, MoneyError, MoneyJson},
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::SandboxHttp;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    #[param(value_type = String)]
    order_id: OrderId,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Charges {
    charges: Vec<ChargeJson>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Charge)]
struct ChargeJson {
    #[schema(value_type = String, format = "uuid")]
    authorization_id: Uuid,
    reference: Option<String>,
    payment_method: String,
    /// `requires_action`, `authorized`, `captured`, `voided` or `declined`.
    state: String,
    #[schema(value_type = MoneyJson)]
    authorized: Money,
    #[schema(value_type = MoneyJson)]
    captured: Money,
    #[schema(value_type = MoneyJson)]
    refunded: Money,
    #[schema(value_type = MoneyJson)]
    voided: Money,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

/// The charges of an order, oldest first.
#[utoipa::path(
    get, path = "/sandbox/books/charges", tag = "sandbox", params(Filter),
    responses((status = 200, description = "The order's charges; none where there is no such order", body = Charges))
)]
pub(super) async fn list_charges(
    State(state): State<SandboxHttp>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Charges>, Problem> {
    caller.require(Scope::Admin)?;
    let rows = select(&state.context.db, caller.account.id, filter.order_id.uuid()).await?;
    let charges = rows.into_iter().map(ChargeJson::try_from).collect::<Result<_, _>>().map_err(anyhow::Error::from)?;
    Ok(Json(Charges { charges }))
}

#[derive(sqlx::FromRow)]
struct Row {
    authorization_id: Uuid,
    reference: Option<String>,
    payment_method: String,
    currency: String,
    state: String,
    authorized_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    voided_minor: i64,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for ChargeJson {
    type Error = MoneyError;

    fn try_from(row: Row) -> Result<Self, MoneyError> {
        let money = |minor: i64| Money::from_columns(minor, &row.currency);
        Ok(Self {
            authorized: money(row.authorized_minor)?,
            captured: money(row.captured_minor)?,
            refunded: money(row.refunded_minor)?,
            voided: money(row.voided_minor)?,
            authorization_id: row.authorization_id,
            reference: row.reference,
            payment_method: row.payment_method,
            state: row.state,
            created_at: row.created_at,
        })
    }
}

async fn select(db: &PgPool, merchant: Uuid, order_id: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        r"select authorization_id, reference, payment_method, currency, state, authorized_minor, captured_minor, refunded_minor,
                 voided_minor, created_at
          from charge where merchant = $1 and order_id = $2 order by created_at, authorization_id limit 100",
    )
    .bind(merchant)
    .bind(order_id)
    .fetch_all(db)
    .await
}
