//! `GET /v1/orders/{order}/returns`: an order's returns, newest first, a page at a time.

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::{Path, Query},
    page::{After, Limit},
    problem::Problem,
};
use makegood_contracts::id::{OrderId, ReturnId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Shared, return_json::ReturnJson};
use crate::return_row::{ReturnRow, return_columns};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Returns a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit<20, 100>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<After<ReturnId>>,
}

/// A page of returns.
#[derive(Serialize, ToSchema)]
pub(super) struct ReturnPage {
    data: Vec<ReturnJson>,
    /// Send it as `after` for the next page; null on the last.
    #[schema(value_type = Option<String>)]
    next: Option<ReturnId>,
}

/// An order's returns, newest first.
#[utoipa::path(
    get,
    path = "/v1/orders/{order}/returns",
    tag = "returns",
    params(("order" = String, Path, description = "The order's id"), Page),
    responses(
        (status = 200, description = "A page", body = ReturnPage),
        (status = 404, description = "There is no order of this id"),
    )
)]
pub(super) async fn list_returns(
    State(shared): State<Shared>,
    caller: Caller,
    Path(order): Path<OrderId>,
    Query(page): Query<Page>,
) -> Result<axum::Json<ReturnPage>, Problem> {
    caller.require(Scope::Server)?;
    let found: Option<Uuid> =
        sqlx::query_scalar("select id from orders where id = $1 and account_id = $2 and livemode = $3")
            .bind(order.uuid())
            .bind(caller.account.id)
            .bind(caller.account.livemode)
            .fetch_optional(&shared.http.db)
            .await?;
    let id = found.ok_or_else(|| Problem::not_found("order", order))?;
    let mut rows: Vec<ReturnRow> = sqlx::query_as(concat!(
        "select ",
        return_columns!(),
        " from order_return join orders on orders.id = order_return.order_id
          where order_return.order_id = $1 and ($2::uuid is null or order_return.id < $2) order by order_return.id desc limit $3"
    ))
    .bind(id)
    .bind(page.after.map(|After(last)| last.uuid()))
    .bind(page.limit.rows_to_read())
    .fetch_all(&shared.http.db)
    .await?;
    let next = page.limit.cut(&mut rows, |last| ReturnId::from_uuid(last.id));
    let data = rows.iter().map(ReturnJson::of).collect::<anyhow::Result<_>>()?;
    Ok(axum::Json(ReturnPage { data, next }))
}
