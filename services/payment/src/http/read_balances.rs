//! `GET /v1/admin/ledger/balances?currency=`: summed up from the transfers themselves, so it is as true as they are.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::{
    account::Account,
    money::{Money, MoneyJson, parse_currency},
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool, Row as _, postgres::PgRow};

use super::intent_json::money;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// ISO 4217 code; all currencies if absent.
    currency: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Balances {
    balances: Vec<Balance>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Balance {
    /// `psp_receivable`, `order_clearing`, `sales` or `refund_contra`.
    account: String,
    #[schema(value_type = MoneyJson)]
    debits: Money,
    #[schema(value_type = MoneyJson)]
    credits: Money,
    /// Debits less credits.
    #[schema(value_type = MoneyJson)]
    balance: Money,
    /// Reserved and not resolved; on no balance.
    #[schema(value_type = MoneyJson)]
    pending_debits: Money,
    #[schema(value_type = MoneyJson)]
    pending_credits: Money,
}

impl FromRow<'_, PgRow> for Balance {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let currency: &str = row.try_get("currency")?;
        let sum = |column: &str| -> Result<i64, sqlx::Error> { row.try_get(column) };
        let (debits, credits) = (sum("debits")?, sum("credits")?);
        Ok(Self {
            account: row.try_get("code")?,
            debits: money(debits, currency)?,
            credits: money(credits, currency)?,
            balance: money(debits - credits, currency)?,
            pending_debits: money(sum("pending_debits")?, currency)?,
            pending_credits: money(sum("pending_credits")?, currency)?,
        })
    }
}

/// The balance of every ledger account of the shop. Reads the shop's whole ledger.
#[utoipa::path(
    get, path = "/v1/admin/ledger/balances", tag = "ledger", params(Filter),
    responses((status = 200, body = Balances), (status = 422, description = "No such currency"))
)]
pub(super) async fn read_balances(
    State(context): State<HttpContext>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Balances>, Problem> {
    caller.require(Scope::Admin)?;
    if let Some(code) = &filter.currency {
        parse_currency(code).map_err(|error| Problem::invalid("/currency", error.to_string()))?;
    }
    let balances = select(&context.db, caller.account, filter.currency.as_deref()).await?;
    Ok(Json(Balances { balances }))
}

async fn select(db: &PgPool, account: Account, currency: Option<&str>) -> Result<Vec<Balance>, sqlx::Error> {
    sqlx::query_as(
        r"with counted as (
              select t.debit_account, t.credit_account, t.amount_minor, t.kind = 'pending' as is_pending
              from transfer t
              where t.account_id = $1 and t.livemode = $2 and ($3::text is null or t.currency = $3)
                and (t.kind in ('posted', 'post')
                     or t.kind = 'pending' and not exists (select from transfer r where r.pending_id = t.id and r.kind in ('post', 'void')))
          ), side as (
              select debit_account as id, is_pending, amount_minor as debit, 0::bigint as credit from counted
              union all
              select credit_account, is_pending, 0, amount_minor from counted
          )
          select a.code, a.currency,
                 coalesce(sum(s.debit) filter (where not s.is_pending), 0)::bigint as debits,
                 coalesce(sum(s.credit) filter (where not s.is_pending), 0)::bigint as credits,
                 coalesce(sum(s.debit) filter (where s.is_pending), 0)::bigint as pending_debits,
                 coalesce(sum(s.credit) filter (where s.is_pending), 0)::bigint as pending_credits
          from ledger_account a left join side s on s.id = a.id
          where a.account_id = $1 and a.livemode = $2 and ($3::text is null or a.currency = $3)
          group by a.code, a.currency order by a.currency, a.code",
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(currency)
    .fetch_all(db)
    .await
}
