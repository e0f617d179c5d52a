//! `GET /v1/orders/{order}`: one order, by an id that only its buyer and its shop know.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use makegood_chassis::{
    auth::{Caller, Scope},
    entity_tag::{self, Conditions},
    extract::Path,
    problem::Problem,
};
use makegood_contracts::id::OrderId;

use super::{
    Shared,
    order_json::{OrderJson, OrderRow, order_columns},
};

/// One order. A publishable key may read it by its id.
#[utoipa::path(
    get,
    path = "/v1/orders/{order}",
    tag = "orders",
    params(("order" = String, Path, description = "The order's id"), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The order, with its ETag", body = OrderJson),
        (status = 304, description = "Unchanged"),
        (status = 404, description = "There is none of this id"),
    )
)]
pub(super) async fn get_order(
    State(shared): State<Shared>,
    caller: Caller,
    conditions: Conditions,
    Path(id): Path<OrderId>,
) -> Result<Response, Problem> {
    caller.require(Scope::Storefront)?;
    let found: Option<OrderRow> = sqlx::query_as(concat!(
        "select ",
        order_columns!(),
        " from orders where id = $1 and account_id = $2 and livemode = $3"
    ))
    .bind(id.uuid())
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .fetch_optional(&shared.http.db)
    .await?;
    let row = found.ok_or_else(|| Problem::not_found("order", id))?;
    let tag = [(header::ETAG, entity_tag::of(row.version))];
    if conditions.know(row.version) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok((tag, axum::Json(row.into_json()?)).into_response())
}
