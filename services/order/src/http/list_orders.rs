//! `GET /v1/orders`: a shop's orders, newest first, a page at a time.

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    page::{After, Limit},
    problem::Problem,
};
use makegood_contracts::{account::Account, id::OrderId};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    order_json::{OrderJson, OrderRow, order_columns},
};
use crate::order::STATUSES;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// The customer's e-mail address, in any case.
    customer: Option<String>,
    /// `pending`, `completed`, `failed`, `cancelled` or `expired`.
    status: Option<String>,
    /// Orders a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit<20, 100>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<After<OrderId>>,
}

/// A page of orders.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderPage {
    data: Vec<OrderJson>,
    /// Send it as `after` for the next page; null on the last.
    #[schema(value_type = Option<String>)]
    next: Option<OrderId>,
}

/// Orders, newest first.
#[utoipa::path(
    get,
    path = "/v1/orders",
    tag = "orders",
    params(Filter),
    responses((status = 200, description = "A page", body = OrderPage), (status = 403, description = "A publishable key may not list orders"))
)]
pub(super) async fn list_orders(
    State(shared): State<Shared>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<OrderPage>, Problem> {
    caller.require(Scope::Server)?;
    if filter.status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(Problem::invalid("/status", format!("An order's status is one of {}.", STATUSES.join(", "))));
    }
    let mut rows = page(&shared.http.db, caller.account, &filter).await?;
    let next = filter.limit.cut(&mut rows, |last| OrderId::from_uuid(last.id));
    let data = rows.into_iter().map(OrderRow::into_json).collect::<anyhow::Result<_>>()?;
    Ok(axum::Json(OrderPage { data, next }))
}

/// Only the conditions that are asked for are in the statement, so that each combination finds its own index.
async fn page(db: &PgPool, account: Account, filter: &Filter) -> Result<Vec<OrderRow>, sqlx::Error> {
    let mut query =
        QueryBuilder::<Postgres>::new(concat!("select ", order_columns!(), " from orders where account_id = "));
    query.push_bind(account.id).push(" and livemode = ").push_bind(account.livemode);
    if let Some(customer) = &filter.customer {
        query.push(" and lower(email) = lower(").push_bind(customer).push(")");
    }
    if let Some(status) = &filter.status {
        query.push(" and status = ").push_bind(status);
    }
    if let Some(After(last)) = filter.after {
        query.push(" and id < ").push_bind(last.uuid());
    }
    query.push(" order by id desc limit ").push_bind(filter.limit.rows_to_read());
    query.build_query_as().fetch_all(db).await
}
