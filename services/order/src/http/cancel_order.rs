//! `POST /v1/orders/{order}/cancel`: a paid order that has not left is called off, and the buyer gets the money back.
//!
//! The wish is written down and answered at once; its saga decides. It takes the parcels back first: once the carrier may
//! have one of them it is refused and the order stays as it is.

use axum::{extract::State, response::Response};
use http::StatusCode;
use makegood_chassis::{
    auth::Scope,
    extract::Path,
    http::TraceParent,
    idempotency::{Answer, Post},
    problem::Problem,
};
use makegood_contracts::{
    account::Account,
    id::{CancellationId, OrderId},
    order::ORDER_CANCEL_REQUESTED,
    plain_text::is_plain_text,
};
use makegood_messaging::event_log;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Shared,
    decide_once::{Decided, decide_once, refused},
};
use crate::{
    order_cancellation::{self, RequestedCancellation},
    order_state::{OrderState, order_state_columns},
    saga_message::SagaMessages,
};

/// A sentence or two, as a refund's reason may have.
const MAX_REASON_CHARS: usize = 500;

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelOrder {
    /// For people: it stands with the refund. At most 500 characters.
    reason: Option<String>,
}

/// What was asked for; how it ends is told by the order's `cancellation`.
#[derive(Serialize, ToSchema)]
pub(super) struct TakenCancellation {
    #[schema(value_type = String, example = "cnl_0198f0c2a3b47c5d8e9f0a1b2c3d4e62")]
    id: CancellationId,
    #[schema(value_type = String, example = "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e60")]
    order_id: OrderId,
    /// `requested`.
    status: &'static str,
}

/// Cancels a completed order of which nothing has left. Its `cancellation` says later whether it was in time.
#[utoipa::path(
    post,
    path = "/v1/orders/{order}/cancel",
    tag = "orders",
    params(
        ("order" = String, Path, description = "The order's id"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 characters"),
    ),
    request_body = CancelOrder,
    responses(
        (status = 202, description = "The wish was taken", body = TakenCancellation),
        (status = 404, description = "There is none of this id"),
        (status = 409, description = "`order-not-completed`, `order-shipped`, or `order-cancelling`: one is under way"),
    )
)]
pub(super) async fn cancel_order(
    State(shared): State<Shared>,
    Path(id): Path<OrderId>,
    TraceParent(traceparent): TraceParent,
    post: Post<CancelOrder>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Server)?;
    let claim = post.required_claim()?.clone();
    if post.body.reason.as_deref().is_some_and(|reason| !is_plain_text(reason, MAX_REASON_CHARS)) {
        let detail = format!("It must have 1 to {MAX_REASON_CHARS} characters, none of them a control character.");
        return Err(Problem::invalid("/reason", detail));
    }
    let account = post.caller.account;
    let wish = Wish { id: Uuid::now_v7(), order: id, reason: post.body.reason, traceparent };
    decide_once(&shared, &claim, move |tx| Box::pin(cancel(tx, account, wish))).await
}

struct Wish {
    id: Uuid,
    order: OrderId,
    reason: Option<String>,
    traceparent: String,
}

/// Writes the wish down, or refuses it. The order is locked, so nothing of it leaves and no other wish comes in between.
async fn cancel(tx: &mut PgConnection, account: Account, wish: Wish) -> Result<Decided, Problem> {
    let mut order = lock(tx, account, wish.order).await?.ok_or_else(|| Problem::not_found("order", wish.order))?;
    if let Some(refusal) = refusal(tx, &order, wish.order).await? {
        return Ok(refused(&refusal));
    }
    let requested: RequestedCancellation = sqlx::query_as(
        r#"
        with requested as (
            insert into order_cancellation (id, order_id, account_id, livemode, reason, traceparent, resend_at)
            select $1, id, account_id, livemode, $3, $4, now() + interval '5 s' from orders where id = $2
            returning id, order_id, reason, traceparent
        ), told as (
            update orders set version = version + 1 where id = $2
        )
        select requested.id, requested.order_id, orders.checkout_id, orders.account_id, orders.livemode, orders.email,
               orders.total_minor, orders.currency, requested.reason, requested.traceparent
        from requested join orders on orders.id = requested.order_id
        "#,
    )
    .bind(wish.id)
    .bind(order.id)
    .bind(&wish.reason)
    .bind(&wish.traceparent)
    .fetch_one(&mut *tx)
    .await?;
    order.version += 1;
    event_log::record(tx, &[order.changed(ORDER_CANCEL_REQUESTED, None)?]).await?;
    let taken = TakenCancellation { id: CancellationId::from_uuid(wish.id), order_id: wish.order, status: "requested" };
    let starts = vec![order_cancellation::start(&requested)?];
    Ok((Answer::json(StatusCode::ACCEPTED, &taken)?, SagaMessages { starts, ..SagaMessages::default() }))
}

async fn refusal(tx: &mut PgConnection, order: &OrderState, id: OrderId) -> Result<Option<Problem>, sqlx::Error> {
    let refused = |kind: &'static str, title: &'static str, detail: String| {
        Some(Problem::new(StatusCode::CONFLICT, kind, title, detail).with("order_id", id.to_string()))
    };
    if order.status != "completed" {
        let detail = format!("The order is {}: only a completed order can be cancelled.", order.status);
        return Ok(refused("order-not-completed", "Order not completed", detail));
    }
    if order.fulfillment_status != "unfulfilled" {
        let detail = "A part of the order has left: it can be returned when it has arrived.".to_owned();
        return Ok(refused("order-shipped", "Order shipped", detail));
    }
    // Nothing of it has left, so nothing of it is coming back: a return needs an order that has left whole.
    let under_way: bool = sqlx::query_scalar(
        "select exists (select from order_cancellation where order_id = $1 and status <> 'refused')",
    )
    .bind(order.id)
    .fetch_one(tx)
    .await?;
    let detail = "The order is being cancelled already.".to_owned();
    Ok(if under_way { refused("order-cancelling", "Order cancelling", detail) } else { None })
}

async fn lock(tx: &mut PgConnection, account: Account, id: OrderId) -> Result<Option<OrderState>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select ",
        order_state_columns!(),
        " from orders where id = $1 and account_id = $2 and livemode = $3 for update"
    ))
    .bind(id.uuid())
    .bind(account.id)
    .bind(account.livemode)
    .fetch_optional(tx)
    .await
}

#[cfg(test)]
mod tests;
