//! `GET /v1/checkouts/{checkout}`: how far it is; with `Prefer: wait=N`, once there is something new to do or to know.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::{Path, PreferWait},
    problem::Problem,
};
use makegood_contracts::id::CheckoutId;

use super::{Shared, checkout_json::CheckoutJson, respond};
use crate::{checkout::Status, checkout_row};

/// How far a checkout is. With `Prefer: wait=N` the answer is held until it is decided, or the buyer must act and
/// did not have to when this was asked.
#[utoipa::path(
    get,
    path = "/v1/checkouts/{checkout}",
    tag = "checkouts",
    params(
        ("checkout" = String, Path, description = "The checkout's id"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`, up to 30 seconds"),
    ),
    responses((status = 200, description = "The checkout", body = CheckoutJson), (status = 404, description = "There is none of this id"))
)]
pub(super) async fn get_checkout(
    State(shared): State<Shared>,
    caller: Caller,
    PreferWait(wait): PreferWait,
    Path(id): Path<CheckoutId>,
) -> Result<Response, Problem> {
    caller.require(Scope::Storefront)?;
    let found = checkout_row::load(&shared.http.db, caller.account, id.uuid()).await?;
    let row = found.ok_or_else(|| Problem::not_found("checkout", id))?;
    if wait.is_zero() || row.status.is_final() {
        return Ok(axum::Json(CheckoutJson::of(&row, &shared.http.secret)?).into_response());
    }
    let had_to_act = row.status == Status::RequiresAction;
    let told = |row: &checkout_row::CheckoutRow| row.status.is_final() || (row.is_settled() && !had_to_act);
    let settled = shared.wait(row.id, wait, told).await;
    let row = match settled {
        Some(settled) => settled,
        // It may have opened meanwhile: what is sent is what is true now.
        None => checkout_row::load(&shared.http.db, caller.account, id.uuid())
            .await?
            .ok_or_else(|| Problem::not_found("checkout", id))?
            .into(),
    };
    respond::waited(&shared, &row, StatusCode::OK)
}
