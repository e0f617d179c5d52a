//! `POST /v1/checkouts/{checkout}/confirm`: the buyer agrees to pay.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{extract::State, response::Response};
use http::StatusCode;
use makegood_chassis::{
    auth::Scope,
    extract::{Path, PreferWait},
    idempotency::{self, Answer, Post},
    problem::Problem,
};
use makegood_contracts::{account::Account, id::CheckoutId, order::Confirmation};
use serde::Deserialize;
use sqlx::{PgConnection, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Shared, respond};
use crate::{
    checkout::{self, Confirming, Status},
    checkout_answer,
    checkout_row::{CheckoutRow, checkout_columns},
    payment_method::PaymentMethod,
    saga_message::{self, SagaMessages},
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmCheckout {
    /// A token, never a card number.
    #[schema(value_type = String, example = "pm_card_visa", pattern = "^pm_[A-Za-z0-9_]{1,100}$")]
    payment_method: PaymentMethod,
}

#[derive(sqlx::FromRow)]
struct Found {
    #[sqlx(flatten)]
    row: CheckoutRow,
    hold_is_over: bool,
}

/// Confirms an open checkout. With `Prefer: wait=N` the answer is held until it is decided or the buyer must act.
#[utoipa::path(
    post,
    path = "/v1/checkouts/{checkout}/confirm",
    tag = "checkouts",
    params(
        ("checkout" = String, Path, description = "The checkout's id"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 characters"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`, up to 30 seconds"),
    ),
    request_body = ConfirmCheckout,
    responses(
        (status = 202, description = "Confirmed; payment is under way; or the buyer must act, then as it is read", body = super::open_checkout::CheckoutAnswer),
        (status = 200, description = "Decided while the caller waited", body = super::checkout_json::CheckoutJson),
        (status = 409, description = "`checkout-not-open` or `checkout-expired`"),
    )
)]
pub(super) async fn confirm_checkout(
    State(shared): State<Shared>,
    PreferWait(wait): PreferWait,
    Path(id): Path<CheckoutId>,
    post: Post<ConfirmCheckout>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Storefront)?;
    let claim = post.required_claim()?.clone();
    let account = post.caller.account;
    let confirmation = Confirmation { payment_method: post.body.payment_method.into_token() };

    let is_new = Arc::new(AtomicBool::new(false));
    let (effect, effect_is_new) = (confirmation.clone(), Arc::clone(&is_new));
    let response = idempotency::once(&shared.http.db, Some(&claim), move |tx| {
        Box::pin(async move { confirm(tx, account, id, &effect, &effect_is_new).await })
    })
    .await?;
    if is_new.load(Ordering::Acquire) {
        let signal = saga_message::confirmation(id.uuid(), &confirmation)?;
        saga_message::publish_soon(&shared.bus, SagaMessages { signals: vec![signal], ..SagaMessages::default() });
    }
    if response.status() != StatusCode::ACCEPTED || wait.is_zero() {
        return Ok(response);
    }
    match shared.wait(id.uuid(), wait, CheckoutRow::is_settled).await {
        Some(row) => {
            let replayed = response.headers().contains_key(respond::REPLAYED);
            let waited = respond::waited(&shared, &row, StatusCode::OK)?;
            Ok(if replayed { respond::replayed(waited) } else { waited })
        }
        None => Ok(response),
    }
}

async fn confirm(
    tx: &mut PgConnection,
    account: Account,
    id: CheckoutId,
    confirmation: &Confirmation,
    is_new: &AtomicBool,
) -> Result<Answer, Problem> {
    let found = lock(tx, account, id.uuid()).await?.ok_or_else(|| Problem::not_found("checkout", id))?;
    let Found { row, hold_is_over } = found;
    let confirmed_with = row.confirmation.as_ref().map(|confirmation| confirmation.payment_method.as_str());
    let answer = match checkout::confirm(row.status, confirmed_with, &confirmation.payment_method, hold_is_over) {
        Confirming::Confirm => {
            write_confirmation(tx, row.id, confirmation).await?;
            is_new.store(true, Ordering::Release);
            checkout_answer::taken(&row, Status::Processing)?
        }
        Confirming::AlreadyConfirmed => checkout_answer::taken(&row, Status::Processing)?,
        Confirming::HoldIsOver => checkout_answer::refusal(
            &row,
            "checkout_expired",
            "The time for which the stock was held is over.",
            Some(row.status),
        )?,
        Confirming::NotOpen => {
            let detail = format!("The checkout is {}: only an open one can be confirmed.", row.status.public());
            checkout_answer::refusal(&row, "checkout_not_open", &detail, Some(row.status))?
        }
    };
    Ok(answer)
}

async fn lock(tx: &mut PgConnection, account: Account, id: Uuid) -> Result<Option<Found>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select ",
        checkout_columns!(),
        ", coalesce(hold_expires_at <= clock_timestamp(), false) as hold_is_over
         from checkout where id = $1 and account_id = $2 and livemode = $3 for update"
    ))
    .bind(id)
    .bind(account.id)
    .bind(account.livemode)
    .fetch_optional(tx)
    .await
}

/// The timer starts anew: the confirmation is told again until the saga shows that it has it.
async fn write_confirmation(tx: &mut PgConnection, id: Uuid, confirmation: &Confirmation) -> Result<(), sqlx::Error> {
    sqlx::query(
        r#"
        update checkout
        set status = 'processing', confirmation = $2, resend_at = now() + interval '5 s', resend_count = 0, version = version + 1
        where id = $1 and status = 'open'
        "#,
    )
    .bind(id)
    .bind(Json(confirmation))
    .execute(tx)
    .await?;
    Ok(())
}
