//! `POST /v1/admin/payment_intents/{id}/void`: an operator has an authorization let go.
//!
//! A saga voids what it authorized. Where its void failed for good and an operator settled that step by hand, at the bank or by word, this
//! is how payment learns of it: the provider lets go what it still holds, or says that it holds nothing any more, and the payment is
//! canceled. A payment of a saga that still runs is better left to it: without its authorization the saga turns around at the capture.

use axum::{extract::State, http::StatusCode, response::Response};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    idempotency::{self, Answer, Post},
    operator_reason::checked_reason,
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
    intent,
    operation::{Kind, id_of_void},
    store::{self, Intent},
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VoidIntent {
    /// Why, in 1 to 1,000 characters: it is kept with the name of the key, unless a void is under way already, which is then answered.
    reason: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = IntentVoid)]
struct Void {
    /// The request to the provider, as it is shown with the payment.
    #[schema(value_type = String, format = "uuid")]
    operation_id: Uuid,
    #[schema(value_type = String)]
    payment_intent_id: PaymentIntentId,
    #[schema(value_type = MoneyJson)]
    amount: Money,
    /// `started`, or `unknown` if it is one that was under way already: it is decided soon after.
    state: String,
}

/// Asks the provider in the background to let go what it holds for the payment, or to say that it holds nothing.
#[utoipa::path(
    post, path = "/v1/admin/payment_intents/{id}/void", tag = "payments", request_body = VoidIntent,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header, description = "Same key, same void")),
    responses(
        (status = 202, description = "Accepted; the payment shows what becomes of it", body = Void),
        (status = 404, description = "No such payment"),
        (status = 409, description = "`payment-captured`: it is refunded instead. `nothing-held`: it was declined or canceled. `authorization-undecided`: the provider is being asked"),
        (status = 422, description = "The reason says nothing")
    )
)]
pub(super) async fn void_intent(
    State(context): State<HttpContext>,
    Path(id): Path<PaymentIntentId>,
    post: Post<VoidIntent>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Admin)?;
    let claim = post.required_claim()?.clone();
    let reason = checked_reason(&post.body.reason)?;
    let (caller, operation_id) = (post.caller, id_of_void(Uuid::now_v7()));
    idempotency::once(&context.db, Some(&claim), move |tx| {
        Box::pin(async move { void(tx, &caller, id, operation_id, &reason).await })
    })
    .await
}

async fn void(
    tx: &mut PgConnection,
    caller: &Caller,
    id: PaymentIntentId,
    operation_id: Uuid,
    reason: &str,
) -> Result<Answer, Problem> {
    // Locked, so that two operators at once start one. A step that captures or voids it meanwhile meets this one at the provider, who does
    // whichever comes first and declines the other.
    let intent = store::lock_intents(tx, &[id.uuid()]).await?.remove(&id.uuid());
    let intent = intent.filter(|intent| intent.account == caller.account);
    let intent = intent.ok_or_else(|| Problem::not_found("payment intent", id))?;
    let undecided = undecided(tx, intent.id).await?;
    let of_kind = |kind: Kind| undecided.iter().find(|(_, of, _)| of == kind.as_str());
    ensure_voidable(intent.progress.state, of_kind(Kind::Authorize).is_some(), of_kind(Kind::Capture).is_some())?;
    if let Some((operation_id, _, state)) = of_kind(Kind::Void) {
        return accepted(&intent, *operation_id, state.clone());
    }
    insert(tx, &intent, operation_id, &caller.actor, reason).await?;
    accepted(&intent, operation_id, "started".to_owned())
}

/// What the provider has not decided of a payment, whoever asked for it: the operation's id, kind and state.
async fn undecided(tx: &mut PgConnection, intent_id: Uuid) -> Result<Vec<(Uuid, String, String)>, sqlx::Error> {
    sqlx::query_as(
        "select operation_id, kind, state from payment_operation where intent_id = $1 and ask_at is not null",
    )
    .bind(intent_id)
    .fetch_all(tx)
    .await
}

/// What a void lets go tells what had become of an undecided authorization, but the first one's answer only: after a void at the bank, or
/// another one whose answer was lost, "nothing" would be taken for an authorization that never was.
fn ensure_voidable(state: intent::State, is_authorizing: bool, is_capturing: bool) -> Result<(), Problem> {
    let (kind, detail) = match state {
        intent::State::Failed | intent::State::Canceled => {
            ("nothing-held", format!("It is {}: nothing is held of it.", state.as_str()))
        }
        intent::State::Succeeded => ("payment-captured", "It is captured: refund it instead.".to_owned()),
        intent::State::RequiresConfirmation
        | intent::State::Processing
        | intent::State::RequiresAction
        | intent::State::RequiresCapture => match (is_authorizing, is_capturing) {
            (true, _) if state == intent::State::RequiresAction => (
                "authorization-undecided",
                "Its buyer is asked to authenticate: cancel the checkout, or its saga, which ends the payment too.".to_owned(),
            ),
            (true, _) => (
                "authorization-undecided",
                "Its authorization is undecided, and the provider is being asked: void it once it is decided, which takes a minute at most."
                    .to_owned(),
            ),
            (false, true) => (
                "payment-captured",
                "It is being captured: once that is decided, refund it, or void it if the capture is declined.".to_owned(),
            ),
            (false, false) => return Ok(()),
        },
    };
    Err(Problem::conflict(kind, "The payment cannot be voided", detail))
}

/// The inquiry finds it at once, learns that the provider never saw it, and sends it.
async fn insert(
    tx: &mut PgConnection,
    intent: &Intent,
    operation_id: Uuid,
    actor: &str,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into payment_operation (operation_id, intent_id, account_id, livemode, kind, amount_minor, reason, actor, ask_at)
         values ($1, $2, $3, $4, 'void', $5, $6, $7, clock_timestamp())",
    )
    .bind(operation_id)
    .bind(intent.id)
    .bind(intent.account.id)
    .bind(intent.account.livemode)
    .bind(intent.progress.amount_minor)
    .bind(reason)
    .bind(actor)
    .execute(tx)
    .await?;
    Ok(())
}

fn accepted(intent: &Intent, operation_id: Uuid, state: String) -> Result<Answer, Problem> {
    let payment_intent_id = PaymentIntentId::from_uuid(intent.id);
    let amount = intent.money(intent.progress.amount_minor)?;
    let void = Void { operation_id, payment_intent_id, amount, state };
    let at = format!("/v1/admin/payment_intents/{payment_intent_id}");
    Ok(Answer::json(StatusCode::ACCEPTED, &void)?.at(at))
}
