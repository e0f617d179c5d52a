//! `GET /v1/admin/ledger/transfers?order_id=`.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::{account::Account, id::OrderId};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::transfer_json::{self, TransferJson};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    #[param(value_type = String)]
    order_id: OrderId,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Transfers {
    transfers: Vec<TransferJson>,
}

/// What was booked for an order, oldest first.
#[utoipa::path(
    get, path = "/v1/admin/ledger/transfers", tag = "ledger", params(Filter),
    responses((status = 200, description = "The order's transfers; none where there is no such order", body = Transfers))
)]
pub(super) async fn list_transfers(
    State(context): State<HttpContext>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Transfers>, Problem> {
    caller.require(Scope::Admin)?;
    let intent_ids = intents_of(&context.db, caller.account, filter.order_id).await?;
    let transfers = transfer_json::of_intents(&context.db, &intent_ids).await?;
    Ok(Json(Transfers { transfers }))
}

/// The ledger has no index by order; an order's few payments lead to their transfers.
async fn intents_of(db: &PgPool, account: Account, order_id: OrderId) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select id from payment_intent where account_id = $1 and livemode = $2 and order_id = $3 order by id limit 100",
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(order_id.uuid())
    .fetch_all(db)
    .await
}
