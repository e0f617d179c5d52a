//! `POST /v1/returns/{return}/receive`: a person of the shop says what came.
//!
//! From here on there is no way back: the row is received under its lock, and the saga, whenever it learns of it, finds it so.

use axum::{extract::State, response::Response};
use http::StatusCode;
use makegood_chassis::{
    auth::Scope,
    extract::Path,
    idempotency::{Answer, Post},
    problem::Problem,
};
use makegood_contracts::{account::Account, id::ReturnId};
use serde::Deserialize;
use sqlx::{PgConnection, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Shared,
    decide_once::{Decided, decide_once, refused},
    return_json::ReturnJson,
    return_lines::{self, ReceivedUnits},
};
use crate::{
    order_return::{Arrived, ReturnLine, Status, receive, refund_minor},
    return_resending,
    return_row::{self, ReturnRow},
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiveReturn {
    /// What came; it may be less than was announced. Lines of the same SKU add up.
    lines: Vec<ReceivedUnits>,
}

/// Takes in the goods of an open return. Exactly what came is refunded, and what can be sold again goes back into stock.
#[utoipa::path(
    post,
    path = "/v1/returns/{return}/receive",
    tag = "returns",
    params(
        ("return" = String, Path, description = "The return's id"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 characters"),
    ),
    request_body = ReceiveReturn,
    responses(
        (status = 202, description = "Received; the refund is under way", body = ReturnJson),
        (status = 404, description = "There is no return of this id"),
        (status = 409, description = "`return-not-open`, `return-line-unknown` or `return-exceeds-announced`"),
        (status = 422, description = "A field cannot be used"),
    )
)]
pub(super) async fn receive_return(
    State(shared): State<Shared>,
    Path(id): Path<ReturnId>,
    post: Post<ReceiveReturn>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Server)?;
    let claim = post.required_claim()?.clone();
    let arrived = return_lines::add_up_received(&post.body.lines)?;
    let account = post.caller.account;
    decide_once(&shared, &claim, move |tx| Box::pin(take_in(tx, account, id, arrived))).await
}

async fn take_in(tx: &mut PgConnection, account: Account, id: ReturnId, arrived: Arrived) -> Result<Decided, Problem> {
    let row = return_row::lock(tx, account, id.uuid()).await?.ok_or_else(|| Problem::not_found("return", id))?;
    if row.status != Status::Open {
        return Ok(refused(&not_open(&row)));
    }
    let lines = match receive(&row.lines, &arrived) {
        Ok(lines) => lines,
        Err(refusal) => return Ok(refused(&return_lines::not_received(refusal))),
    };
    write(tx, row.id, &lines).await?;
    let row = return_row::lock(tx, account, row.id).await?.ok_or_else(|| Problem::not_found("return", id))?;
    Ok((Answer::json(StatusCode::ACCEPTED, &ReturnJson::of(&row)?)?, return_resending::messages(&row)?))
}

/// Only an open return can be received or called off.
pub(super) fn not_open(row: &ReturnRow) -> Problem {
    let detail = format!("The return is {}.", row.status.as_str());
    Problem::conflict("return-not-open", "Return not open", detail)
        .with("return_id", ReturnId::from_uuid(row.id).to_string())
        .with("return_status", row.status.as_str())
}

async fn write(tx: &mut PgConnection, id: Uuid, lines: &[ReturnLine]) -> Result<(), sqlx::Error> {
    sqlx::query(
        r#"
        update order_return
        set status = 'received', lines = $2, refund_minor = $3, received_at = now(),
            resend_at = now() + interval '5 s', resend_count = 0
        where id = $1
        "#,
    )
    .bind(id)
    .bind(Json(lines))
    .bind(refund_minor(lines, Status::Received))
    .execute(tx)
    .await?;
    Ok(())
}
