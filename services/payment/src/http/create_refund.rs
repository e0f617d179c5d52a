//! `POST /v1/admin/payment_intents/{id}/refunds`: an operator gives money back.

use axum::{extract::State, http::StatusCode, response::Response};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    idempotency::{self, Answer, Post},
    problem::Problem,
};
use makegood_contracts::{
    id::PaymentIntentId,
    money::{Money, MoneyJson},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    operation::id_of_refund,
    refund::{Started, Wanted, is_reason, start},
    store::{self, Pair},
};

/// The inquiry finds the operation at once, learns that the provider never saw it, and sends it.
const FIRST_ASK_SECONDS: f64 = 0.0;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateRefund {
    /// All that is left, if absent.
    #[schema(value_type = Option<MoneyJson>)]
    amount: Option<Money>,
    /// At most 500 characters.
    reason: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Refund {
    #[schema(value_type = String, format = "uuid")]
    refund_id: Uuid,
    /// The request to the provider, as it is shown with the payment.
    #[schema(value_type = String, format = "uuid")]
    operation_id: Uuid,
    #[schema(value_type = String)]
    payment_intent_id: PaymentIntentId,
    #[schema(value_type = MoneyJson)]
    amount: Money,
    /// `started`: it is decided soon after.
    state: &'static str,
}

/// Reserves the amount and asks the provider for it in the background.
#[utoipa::path(
    post, path = "/v1/admin/payment_intents/{id}/refunds", tag = "payments", request_body = CreateRefund,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header, description = "Same key, same refund")),
    responses(
        (status = 202, description = "Accepted; the payment shows what becomes of it", body = Refund),
        (status = 404, description = "No such payment"),
        (status = 409, description = "`refund-exceeds-captured`, `payment-not-captured` or `currency-mismatch`"),
        (status = 422, description = "A field cannot be used")
    )
)]
pub(super) async fn create_refund(
    State(context): State<HttpContext>,
    Path(id): Path<PaymentIntentId>,
    post: Post<CreateRefund>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Server)?;
    let claim = post.required_claim()?.clone();
    let (caller, CreateRefund { amount, reason }) = (post.caller, post.body);
    if amount.is_some_and(|amount| amount.minor_units <= 0) {
        return Err(Problem::invalid("/amount", "must be more than zero"));
    }
    if reason.as_deref().is_some_and(|reason| !is_reason(reason)) {
        return Err(Problem::invalid("/reason", "must have at most 500 characters, none of them a control character"));
    }
    let refund_id = Uuid::now_v7();
    let (operation_id, intent_id) = (id_of_refund(refund_id), id.uuid());
    let wanted = Wanted { operation_id, intent_id, refund_id, amount, reason, asker: None };
    idempotency::once(&context.db, Some(&claim), move |tx| Box::pin(async move { refund(tx, &caller, &wanted).await }))
        .await
}

async fn refund(tx: &mut PgConnection, caller: &Caller, wanted: &Wanted) -> Result<Answer, Problem> {
    let id = PaymentIntentId::from_uuid(wanted.intent_id);
    let intents = store::lock_intents(tx, &[wanted.intent_id]).await?;
    if intents.get(&wanted.intent_id).is_none_or(|intent| intent.account != caller.account) {
        return Err(Problem::not_found("payment intent", id));
    }
    match start(tx, std::slice::from_ref(wanted), FIRST_ASK_SECONDS).await?.into_iter().next() {
        Some(Started::New(pair) | Started::Before(pair)) => {
            name_actor(tx, pair.0.id, &caller.actor).await?;
            accepted(wanted, *pair)
        }
        Some(Started::Refused { code, detail }) => Ok(refused(code, detail)),
        // Only a saga's refund is of what is left.
        Some(Started::Waits | Started::AllBack(_)) | None => {
            Err(anyhow::anyhow!("a wanted refund came to nothing").into())
        }
    }
}

async fn name_actor(tx: &mut PgConnection, operation_id: Uuid, actor: &str) -> Result<(), sqlx::Error> {
    sqlx::query("update payment_operation set actor = $2 where operation_id = $1")
        .bind(operation_id)
        .bind(actor)
        .execute(tx)
        .await?;
    Ok(())
}

fn accepted(wanted: &Wanted, (operation, intent): Pair) -> Result<Answer, Problem> {
    let payment_intent_id = PaymentIntentId::from_uuid(intent.id);
    let refund = Refund {
        refund_id: wanted.refund_id,
        operation_id: operation.id,
        payment_intent_id,
        amount: intent.money(operation.amount_minor)?,
        state: operation.state.as_str(),
    };
    let body = serde_json::to_string(&refund).map_err(anyhow::Error::from)?;
    let location = Some(format!("/v1/admin/payment_intents/{payment_intent_id}"));
    Ok(Answer { status: StatusCode::ACCEPTED.as_u16(), body, location })
}

/// A business refusal is an answer: it is stored for the key.
fn refused(code: &'static str, detail: String) -> Answer {
    let kind = match code {
        "refund_exceeds_captured" => "refund-exceeds-captured",
        "payment_not_captured" => "payment-not-captured",
        "currency_mismatch" => "currency-mismatch",
        other => other,
    };
    let problem = Problem::conflict(kind, "The refund is not possible", detail);
    Answer { status: problem.status.as_u16(), body: problem.document().to_string(), location: None }
}
