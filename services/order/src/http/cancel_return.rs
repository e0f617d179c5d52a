//! `POST /v1/returns/{return}/cancel`: the goods do not come after all. Possible while nobody has said that they came.
//!
//! It is decided here, under the row's lock; the saga learns of it and ends.

use axum::{extract::State, response::Response};
use http::StatusCode;
use makegood_chassis::{
    auth::Scope,
    extract::Path,
    idempotency::{Answer, NoBody, Post},
    problem::Problem,
};
use makegood_contracts::{account::Account, id::ReturnId};
use sqlx::PgConnection;

use super::{
    Shared,
    decide_once::{Decided, decide_once, refused},
    receive_return::not_open,
    return_json::ReturnJson,
};
use crate::{
    order_return::{RETURN_CANCELLED, Status},
    return_resending, return_row,
};

/// Calls an open return off. Its units can be announced again at once.
#[utoipa::path(
    post,
    path = "/v1/returns/{return}/cancel",
    tag = "returns",
    params(
        ("return" = String, Path, description = "The return's id"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 characters"),
    ),
    request_body = NoBody,
    responses(
        (status = 200, description = "It is cancelled", body = ReturnJson),
        (status = 404, description = "There is no return of this id"),
        (status = 409, description = "`return-not-open`"),
    )
)]
pub(super) async fn cancel_return(
    State(shared): State<Shared>,
    Path(id): Path<ReturnId>,
    post: Post<NoBody>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Server)?;
    let claim = post.required_claim()?.clone();
    let account = post.caller.account;
    decide_once(&shared, &claim, move |tx| Box::pin(call_off(tx, account, id))).await
}

async fn call_off(tx: &mut PgConnection, account: Account, id: ReturnId) -> Result<Decided, Problem> {
    let row = return_row::lock(tx, account, id.uuid()).await?.ok_or_else(|| Problem::not_found("return", id))?;
    if row.status != Status::Open {
        return Ok(refused(&not_open(&row)));
    }
    sqlx::query(
        r#"
        update order_return
        set status = 'cancelled', failure_code = $2, decided_at = now(), resend_at = now() + interval '5 s', resend_count = 0
        where id = $1
        "#,
    )
    .bind(row.id)
    .bind(RETURN_CANCELLED)
    .execute(&mut *tx)
    .await?;
    let row = return_row::lock(tx, account, row.id).await?.ok_or_else(|| Problem::not_found("return", id))?;
    Ok((Answer::json(StatusCode::OK, &ReturnJson::of(&row)?)?, return_resending::messages(&row)?))
}
