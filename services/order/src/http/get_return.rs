//! `GET /v1/returns/{return}`: one return of a shop's order.

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    problem::Problem,
};
use makegood_contracts::id::ReturnId;

use super::{Shared, return_json::ReturnJson};
use crate::return_row::{ReturnRow, return_columns};

/// One return.
#[utoipa::path(
    get,
    path = "/v1/returns/{return}",
    tag = "returns",
    params(("return" = String, Path, description = "The return's id")),
    responses(
        (status = 200, description = "The return", body = ReturnJson),
        (status = 404, description = "There is none of this id"),
    )
)]
pub(super) async fn get_return(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<ReturnId>,
) -> Result<axum::Json<ReturnJson>, Problem> {
    caller.require(Scope::Server)?;
    let found: Option<ReturnRow> = sqlx::query_as(concat!(
        "select ",
        return_columns!(),
        " from order_return join orders on orders.id = order_return.order_id
          where order_return.id = $1 and order_return.account_id = $2 and order_return.livemode = $3"
    ))
    .bind(id.uuid())
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .fetch_optional(&shared.http.db)
    .await?;
    let row = found.ok_or_else(|| Problem::not_found("return", id))?;
    Ok(axum::Json(ReturnJson::of(&row)?))
}
