//! `POST /v1/orders/{order}/returns`: goods of an order that has left are announced to come back.
//!
//! The return is written down and answered at once. From then on its units are bound to it, so that no other return can have them,
//! and its saga waits for the goods.

use std::collections::BTreeMap;

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
    cart::PricedLine,
    id::{OrderId, ReturnId},
    order::ORDER_RETURN_REQUESTED,
    plain_text::is_plain_text,
};
use makegood_messaging::event_log;
use serde::Deserialize;
use sqlx::{PgConnection, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Shared,
    decide_once::{Decided, decide_once, refused},
    return_json::ReturnJson,
    return_lines::{self, ReturnedUnits},
};
use crate::{
    order_return::{ReturnLine, Status, Units, announce, refund_minor},
    order_state::{OrderState, order_state_columns},
    refund_share::Share,
    return_resending, return_row,
};

/// A sentence or two, as a refund's reason may have.
const MAX_REASON_CHARS: usize = 500;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnOrder {
    /// What is to come back. Lines of the same SKU add up.
    lines: Vec<ReturnedUnits>,
    /// For people: it stands with the refund. At most 500 characters.
    reason: Option<String>,
}

/// Announces that goods of an order come back. Its status says later what came of it.
#[utoipa::path(
    post,
    path = "/v1/orders/{order}/returns",
    tag = "returns",
    params(
        ("order" = String, Path, description = "The order's id"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 characters"),
    ),
    request_body = ReturnOrder,
    responses(
        (status = 202, description = "The goods are waited for", body = ReturnJson),
        (status = 404, description = "There is no order of this id"),
        (status = 409, description = "`order-not-completed`, `order-cancelling`, `order-not-shipped`, `return-window-over`, `return-line-unknown`, or `return-exceeds-order`: other returns have the rest"),
        (status = 422, description = "A field cannot be used"),
    )
)]
pub(super) async fn return_order(
    State(shared): State<Shared>,
    Path(id): Path<OrderId>,
    TraceParent(traceparent): TraceParent,
    post: Post<ReturnOrder>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Server)?;
    let claim = post.required_claim()?.clone();
    let ReturnOrder { lines, reason } = post.body;
    if reason.as_deref().is_some_and(|reason| !is_plain_text(reason, MAX_REASON_CHARS)) {
        let detail = format!("It must have 1 to {MAX_REASON_CHARS} characters, none of them a control character.");
        return Err(Problem::invalid("/reason", detail));
    }
    let units = return_lines::add_up(&lines)?;
    let wish = Wish { id: Uuid::now_v7(), order: id, units, reason, traceparent, terms: shared.return_terms };
    let account = post.caller.account;
    decide_once(&shared, &claim, move |tx| Box::pin(open(tx, account, wish))).await
}

/// How long goods can be announced, and then waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReturnTerms {
    pub(super) window_seconds: u32,
    pub(super) receipt_within_seconds: u32,
}

struct Wish {
    id: Uuid,
    order: OrderId,
    units: Units,
    reason: Option<String>,
    traceparent: String,
    terms: ReturnTerms,
}

/// The order as a return finds it: locked, so that returns of one order are announced one after another.
#[derive(sqlx::FromRow)]
struct Found {
    #[sqlx(flatten)]
    order: OrderState,
    lines: Json<Vec<PricedLine>>,
    is_window_over: bool,
    is_cancelling: bool,
}

async fn open(tx: &mut PgConnection, account: Account, wish: Wish) -> Result<Decided, Problem> {
    let found = lock(tx, account, &wish).await?.ok_or_else(|| Problem::not_found("order", wish.order))?;
    if let Some(refusal) = refusal(&found, wish.order) {
        return Ok(refused(&refusal));
    }
    let taken = taken(tx, found.order.id).await?;
    let lines = match announce(&found.lines, found.order.total_minor, &taken, &wish.units)? {
        Ok(lines) => lines,
        Err(refusal) => return Ok(refused(&return_lines::not_announced(refusal, wish.order))),
    };
    insert(tx, &found.order, &wish, &lines).await?;
    let mut order = found.order;
    order.version += 1;
    event_log::record(tx, &[order.return_changed(ORDER_RETURN_REQUESTED, wish.id, None)?]).await?;
    let row = return_row::lock(tx, account, wish.id).await?;
    let row = row.ok_or_else(|| anyhow::anyhow!("a return is not there that was just written"))?;
    let location = format!("/v1/returns/{}", ReturnId::from_uuid(row.id));
    Ok((Answer::json(StatusCode::ACCEPTED, &ReturnJson::of(&row)?)?.at(location), return_resending::messages(&row)?))
}

async fn lock(tx: &mut PgConnection, account: Account, wish: &Wish) -> Result<Option<Found>, sqlx::Error> {
    // What is looked up of other tables is looked up once the lock is held: whoever had it may have changed them.
    let locked = sqlx::query_scalar::<_, Uuid>(
        "select id from orders where id = $1 and account_id = $2 and livemode = $3 for update",
    )
    .bind(wish.order.uuid())
    .bind(account.id)
    .bind(account.livemode)
    .fetch_optional(&mut *tx)
    .await?;
    sqlx::query_as(concat!(
        "select ",
        order_state_columns!(),
        ", orders.lines,
           coalesce(coalesce(orders.last_shipped_at, c.decided_at) + make_interval(secs => $2) < clock_timestamp(), false) as is_window_over,
           exists (select from order_cancellation x where x.order_id = orders.id and x.status <> 'refused') as is_cancelling
         from orders join checkout c on c.id = orders.checkout_id where orders.id = $1"
    ))
    .bind(locked)
    .bind(f64::from(wish.terms.window_seconds))
    .fetch_optional(tx)
    .await
}

fn refusal(found: &Found, id: OrderId) -> Option<Problem> {
    let refused = |kind: &'static str, title: &'static str, detail: String| {
        Some(Problem::conflict(kind, title, detail).with("order_id", id.to_string()))
    };
    if found.order.status != "completed" {
        let detail = format!("The order is {}: only a completed order can be returned.", found.order.status);
        return refused("order-not-completed", "Order not completed", detail);
    }
    if found.is_cancelling {
        return refused("order-cancelling", "Order cancelling", "The order is being cancelled.".to_owned());
    }
    if found.order.fulfillment_status != "shipped" {
        let detail = "The order has not left, or not all of it: what has not left can be cancelled.".to_owned();
        return refused("order-not-shipped", "Order not shipped", detail);
    }
    let detail = "The time in which the order could be returned is over.".to_owned();
    if found.is_window_over { refused("return-window-over", "Return window over", detail) } else { None }
}

/// What the order's other returns have of each line.
async fn taken(tx: &mut PgConnection, order: Uuid) -> anyhow::Result<BTreeMap<String, Share>> {
    let others: Vec<(String, Json<Vec<ReturnLine>>)> = sqlx::query_as(
        "select status, lines from order_return where order_id = $1 and status in ('open', 'received', 'completed')",
    )
    .bind(order)
    .fetch_all(tx)
    .await?;
    let mut taken: BTreeMap<String, Share> = BTreeMap::new();
    for (status, lines) in others {
        let status = Status::try_from(status)?;
        for line in lines.0 {
            taken.entry(line.line.clone()).or_default().add(line.taken(status));
        }
    }
    Ok(taken)
}

async fn insert(
    tx: &mut PgConnection,
    order: &OrderState,
    wish: &Wish,
    lines: &[ReturnLine],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r#"
        with told as (
            update orders set version = version + 1 where id = $2
        )
        insert into order_return (id, order_id, account_id, livemode, reason, lines, refund_minor, receive_by, traceparent, resend_at)
        values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8), $9, now() + interval '5 s')
        "#,
    )
    .bind(wish.id)
    .bind(order.id)
    .bind(order.account_id)
    .bind(order.livemode)
    .bind(&wish.reason)
    .bind(Json(lines))
    .bind(refund_minor(lines, Status::Open))
    .bind(f64::from(wish.terms.receipt_within_seconds))
    .bind(&wish.traceparent)
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
