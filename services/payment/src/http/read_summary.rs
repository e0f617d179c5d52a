//! `GET /v1/admin/ledger/summary?reference_prefix=`: what came in and went back for a set of orders, such as one import.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::{
    account::Account,
    money::{Money, MoneyJson},
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::intent_json::money;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    reference_prefix: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LedgerSummary)]
pub(super) struct Summary {
    /// Payments of which something was captured.
    orders: i64,
    /// One amount per currency.
    #[schema(value_type = Vec<MoneyJson>)]
    captured: Vec<Money>,
    #[schema(value_type = Vec<MoneyJson>)]
    refunded: Vec<Money>,
}

/// Sums of the ledger over all orders whose reference begins so.
#[utoipa::path(
    get, path = "/v1/admin/ledger/summary", tag = "ledger", params(Filter),
    responses((status = 200, body = Summary), (status = 422, description = "The prefix is empty"))
)]
pub(super) async fn read_summary(
    State(context): State<HttpContext>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Summary>, Problem> {
    caller.require(Scope::Admin)?;
    if filter.reference_prefix.is_empty() {
        return Err(Problem::invalid("/reference_prefix", "must not be empty"));
    }
    let sums = select(&context.db, caller.account, &filter.reference_prefix).await?;
    let amounts =
        |pick: fn(&Sum) -> i64| sums.iter().map(|sum| money(pick(sum), &sum.currency)).collect::<Result<Vec<_>, _>>();
    Ok(Json(Summary {
        orders: sums.iter().map(|sum| sum.orders).sum(),
        captured: amounts(|sum| sum.captured)?,
        refunded: amounts(|sum| sum.refunded)?,
    }))
}

/// One currency's sums.
#[derive(Debug, sqlx::FromRow)]
struct Sum {
    currency: String,
    orders: i64,
    captured: i64,
    refunded: i64,
}

async fn select(db: &PgPool, account: Account, prefix: &str) -> Result<Vec<Sum>, sqlx::Error> {
    sqlx::query_as(
        r"select t.currency, count(distinct t.intent_id) filter (where t.code = 'sale') as orders,
                 coalesce(sum(t.amount_minor) filter (where t.code = 'sale'), 0)::bigint as captured,
                 coalesce(sum(t.amount_minor) filter (where t.code = 'refund' and t.kind = 'post'), 0)::bigint as refunded
          from payment_intent i join transfer t on t.intent_id = i.id
          where i.account_id = $1 and i.livemode = $2 and i.reference like $3
          group by t.currency order by t.currency",
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(begins_with(prefix))
    .fetch_all(db)
    .await
}

/// A LIKE pattern in which the prefix stands for itself.
fn begins_with(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    #[test]
    fn wildcards_in_a_prefix_stand_for_themselves() {
        assert_eq!(super::begins_with(r"a_b%c\"), r"a\_b\%c\\%");
    }
}
