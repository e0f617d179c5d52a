//! `GET /sandbox/books/summary?reference_prefix=`: the provider's side of a set of orders.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    problem::Problem,
};
use makegood_contracts::money::{Money, MoneyError, MoneyJson};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::SandboxHttp;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    reference_prefix: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BooksSummary)]
pub(super) struct Summary {
    /// Charges of which something was captured.
    orders: i64,
    /// One amount per currency.
    #[schema(value_type = Vec<MoneyJson>)]
    authorized: Vec<Money>,
    #[schema(value_type = Vec<MoneyJson>)]
    captured: Vec<Money>,
    #[schema(value_type = Vec<MoneyJson>)]
    refunded: Vec<Money>,
    #[schema(value_type = Vec<MoneyJson>)]
    voided: Vec<Money>,
}

/// Sums of the provider's books over all charges whose reference begins so.
#[utoipa::path(
    operation_id = "read_books_summary", get, path = "/sandbox/books/summary", tag = "sandbox", params(Filter),
    responses((status = 200, body = Summary), (status = 422, description = "The prefix is empty"))
)]
pub(super) async fn read_summary(
    State(state): State<SandboxHttp>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Summary>, Problem> {
    caller.require(Scope::Admin)?;
    if filter.reference_prefix.is_empty() {
        return Err(Problem::invalid("/reference_prefix", "must not be empty"));
    }
    let sums = select(&state.context.db, caller.account.id, &filter.reference_prefix).await?;
    let amounts = |pick: fn(&Sum) -> i64| -> Result<Vec<Money>, MoneyError> {
        sums.iter().map(|sum| Money::from_columns(pick(sum), &sum.currency)).collect()
    };
    let summary = || -> Result<Summary, MoneyError> {
        Ok(Summary {
            orders: sums.iter().map(|sum| sum.orders).sum(),
            authorized: amounts(|sum| sum.authorized)?,
            captured: amounts(|sum| sum.captured)?,
            refunded: amounts(|sum| sum.refunded)?,
            voided: amounts(|sum| sum.voided)?,
        })
    };
    Ok(Json(summary().map_err(anyhow::Error::from)?))
}

/// One currency's sums.
#[derive(Debug, sqlx::FromRow)]
struct Sum {
    currency: String,
    orders: i64,
    authorized: i64,
    captured: i64,
    refunded: i64,
    voided: i64,
}

async fn select(db: &PgPool, merchant: Uuid, prefix: &str) -> Result<Vec<Sum>, sqlx::Error> {
    sqlx::query_as(
        r"select currency, count(*) filter (where captured_minor > 0) as orders, sum(authorized_minor)::bigint as authorized,
                 sum(captured_minor)::bigint as captured, sum(refunded_minor)::bigint as refunded, sum(voided_minor)::bigint as voided
          from charge
          where merchant = $1 and reference like regexp_replace($2, '([\\%_])', '\\\1', 'g') || '%'
          group by currency order by currency",
    )
    .bind(merchant)
    .bind(prefix)
    .fetch_all(db)
    .await
}
