//! `GET /v1/admin/payment_intents/{id}`: the payment with all evidence of it.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::{account::Account, id::PaymentIntentId};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::{
    intent_json::{COLUMNS, IntentJson},
    operation_json::OperationJson,
    transfer_json::{self, TransferJson},
};

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PaymentEvidence {
    #[serde(flatten)]
    intent: IntentJson,
    /// What was asked of the provider, oldest first.
    operations: Vec<OperationJson>,
    /// What was booked, oldest first.
    transfers: Vec<TransferJson>,
}

/// A payment, what was asked of the provider for it, and what was booked.
#[utoipa::path(
    get, path = "/v1/admin/payment_intents/{id}", tag = "payments", params(("id" = String, Path)),
    responses((status = 200, body = PaymentEvidence), (status = 404, description = "No such payment"))
)]
pub(super) async fn read_intent(
    State(context): State<HttpContext>,
    caller: Caller,
    Path(id): Path<PaymentIntentId>,
) -> Result<Json<PaymentEvidence>, Problem> {
    caller.require(Scope::Admin)?;
    let intent = select(&context.db, caller.account, id.uuid()).await?;
    let intent = intent.ok_or_else(|| Problem::not_found("payment intent", id))?;
    let operations = select_operations(&context.db, id.uuid()).await?;
    let transfers = transfer_json::of_intents(&context.db, &[id.uuid()]).await?;
    Ok(Json(PaymentEvidence { intent, operations, transfers }))
}

async fn select(db: &PgPool, account: Account, id: Uuid) -> Result<Option<IntentJson>, sqlx::Error> {
    let sql = format!("select {COLUMNS} from payment_intent where id = $1 and account_id = $2 and livemode = $3");
    sqlx::query_as(AssertSqlSafe(sql)).bind(id).bind(account.id).bind(account.livemode).fetch_optional(db).await
}

async fn select_operations(db: &PgPool, intent_id: Uuid) -> Result<Vec<OperationJson>, sqlx::Error> {
    sqlx::query_as(
        r"select o.operation_id, o.kind, o.state, o.amount_minor, i.currency, o.provider_reference, o.code, o.decline_code,
                 o.refund_id, o.reason, o.actor, o.asked, o.created_at, o.decided_at
          from payment_operation o join payment_intent i on i.id = o.intent_id
          where o.intent_id = $1 order by o.created_at, o.operation_id limit 1000",
    )
    .bind(intent_id)
    .fetch_all(db)
    .await
}
