//! `GET /v1/admin/stock`: what lies where, and how much of it is spoken for, page by page.

use std::str::FromStr;

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    page::{After, Limit},
    problem::Problem,
};
use makegood_contracts::{account::Account, catalog::check_sku};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::warehouse_code::is_warehouse_code;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListStock {
    /// Only this SKU.
    sku: Option<String>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<After<StockCursor>>,
    /// Rows a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Limit<50, 500>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct StockPage {
    data: Vec<Stock>,
    /// Send it as `after` for the next page; null on the last one.
    next: Option<String>,
}

#[derive(Debug, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub(crate) struct Stock {
    sku: String,
    warehouse: String,
    on_hand: i64,
    held: i64,
    allocated: i64,
    available: i64,
}

/// Lists what is on hand and what of it is allocated, by SKU and warehouse.
#[utoipa::path(
    operation_id = "list_stock", get, path = "/v1/admin/stock", tag = "inventory", params(ListStock),
    responses((status = 200, body = StockPage), (status = 400, description = "`after` is no cursor of a page before"), (status = 422, description = "A parameter cannot be used"))
)]
pub(crate) async fn handle(
    State(http): State<HttpContext>,
    caller: Caller,
    Query(query): Query<ListStock>,
) -> Result<axum::Json<StockPage>, Problem> {
    caller.require(Scope::Server)?;
    if let Some(sku) = &query.sku {
        check_sku(sku).map_err(|error| Problem::invalid("/sku", error.to_string()))?;
    }
    let after = query.after.map(|After(last)| last);
    let mut data = page(&http.db, caller.account, query.sku.as_deref(), after, query.limit.rows_to_read()).await?;
    let next = query.limit.cut(&mut data, |last| format!("{}/{}", last.sku, last.warehouse));
    Ok(axum::Json(StockPage { data, next }))
}

/// `<sku>/<warehouse>`: neither may contain a slash.
#[derive(Debug)]
struct StockCursor {
    sku: String,
    warehouse: String,
}

impl FromStr for StockCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.split_once('/')
            .filter(|(sku, warehouse)| check_sku(sku).is_ok() && is_warehouse_code(warehouse))
            .map(|(sku, warehouse)| Self { sku: sku.to_owned(), warehouse: warehouse.to_owned() })
            .ok_or(())
    }
}

async fn page(
    db: &PgPool,
    account: Account,
    sku: Option<&str>,
    after: Option<StockCursor>,
    limit: i64,
) -> Result<Vec<Stock>, sqlx::Error> {
    sqlx::query_as(
        r"
        select s.sku, w.code as warehouse, s.on_hand, s.held, s.allocated, s.on_hand - s.held - s.allocated as available
        from stock s
        join warehouse w on w.id = s.warehouse_id
        where s.account_id = $1 and s.livemode = $2
          and ($3::text is null or s.sku = $3)
          and ($4::text is null or (s.sku >= $4 and (s.sku, w.code) > ($4, $5)))
        order by s.sku, w.code
        limit $6
        ",
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(sku)
    .bind(after.as_ref().map(|last| &last.sku))
    .bind(after.as_ref().map(|last| &last.warehouse))
    .bind(limit)
    .fetch_all(db)
    .await
}
