//! `POST /v1/checkouts/{checkout}/cancel`: the caller no longer wants it.
//!
//! The saga decides: before its pivot it undoes what it did, after it the order completes nevertheless.

use axum::{extract::State, response::Response};
use makegood_chassis::{
    auth::Scope,
    extract::Path,
    idempotency::{self, Answer, NoBody, Post},
    problem::Problem,
};
use makegood_contracts::{account::Account, id::CheckoutId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Shared;
use crate::{
    checkout_answer::{self, OpenedCheckout},
    checkout_row::{CheckoutRow, checkout_columns},
    saga_message::{self, SagaMessages},
};

/// Calls a checkout off. Whether it was in time is told by its status later: `cancelled`, or `completed` nevertheless.
#[utoipa::path(
    post,
    path = "/v1/checkouts/{checkout}/cancel",
    tag = "checkouts",
    params(
        ("checkout" = String, Path, description = "The checkout's id"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 characters"),
    ),
    request_body = NoBody,
    responses(
        (status = 202, description = "The cancellation was taken", body = OpenedCheckout),
        (status = 409, description = "`checkout-final`: it is decided already"),
    )
)]
pub(super) async fn cancel_checkout(
    State(shared): State<Shared>,
    Path(id): Path<CheckoutId>,
    post: Post<NoBody>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Storefront)?;
    let claim = post.required_claim()?.clone();
    let account = post.caller.account;
    let response = idempotency::once(&shared.http.db, Some(&claim), move |tx| {
        Box::pin(async move { cancel(tx, account, id).await })
    })
    .await?;
    if response.status().is_success() {
        // A repeated request tells the saga again, which is harmless.
        let cancels = vec![saga_message::cancellation(id.uuid())];
        saga_message::publish_soon(&shared.bus, SagaMessages { cancels, ..SagaMessages::default() });
    }
    Ok(response)
}

async fn cancel(tx: &mut PgConnection, account: Account, id: CheckoutId) -> Result<Answer, Problem> {
    let row = lock(tx, account, id.uuid()).await?.ok_or_else(|| Problem::not_found("checkout", id))?;
    if row.status.is_final() {
        let detail = format!("The checkout is {}.", row.status.public());
        return Ok(checkout_answer::refusal(&row, "checkout_final", &detail, Some(row.status))?);
    }
    sqlx::query(
        r#"
        update checkout
        set cancel_requested = true, resend_at = now() + interval '5 s', resend_count = 0, version = version + 1
        where id = $1 and not cancel_requested
        "#,
    )
    .bind(row.id)
    .execute(tx)
    .await?;
    Ok(checkout_answer::taken(&row, row.status)?)
}

async fn lock(tx: &mut PgConnection, account: Account, id: Uuid) -> Result<Option<CheckoutRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select ",
        checkout_columns!(),
        " from checkout where id = $1 and account_id = $2 and livemode = $3 for update"
    ))
    .bind(id)
    .bind(account.id)
    .bind(account.livemode)
    .fetch_optional(tx)
    .await
}
