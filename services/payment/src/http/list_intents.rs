//! `GET /v1/admin/payment_intents?order_id=`.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::{account::Account, id::OrderId};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgPool};

use super::intent_json::{COLUMNS, IntentJson};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    #[param(value_type = String)]
    order_id: OrderId,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PaymentIntents {
    payment_intents: Vec<IntentJson>,
}

/// The payments of an order, newest first.
#[utoipa::path(
    get, path = "/v1/admin/payment_intents", tag = "payments", params(Filter),
    responses((status = 200, description = "The order's payments; none where there is no such order", body = PaymentIntents))
)]
pub(super) async fn list_intents(
    State(context): State<HttpContext>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<PaymentIntents>, Problem> {
    caller.require(Scope::Admin)?;
    let payment_intents = select(&context.db, caller.account, filter.order_id).await?;
    Ok(Json(PaymentIntents { payment_intents }))
}

async fn select(db: &PgPool, account: Account, order_id: OrderId) -> Result<Vec<IntentJson>, sqlx::Error> {
    let sql = format!(
        "select {COLUMNS} from payment_intent where account_id = $1 and livemode = $2 and order_id = $3 order by id desc limit 100"
    );
    sqlx::query_as(AssertSqlSafe(sql)).bind(account.id).bind(account.livemode).bind(order_id.uuid()).fetch_all(db).await
}
