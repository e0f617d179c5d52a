//! `POST /v1/admin/stock/receipts`: goods came in. Every receipt is kept, so that stock can be proven.

use std::collections::{BTreeSet, HashMap};

use axum::{extract::State, http::StatusCode, response::Response};
use makegood_chassis::{
    auth::{Caller, Scope},
    http::HttpContext,
    idempotency::{self, Answer, Post},
    problem::Problem,
};
use makegood_contracts::catalog::check_sku;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::warehouse_code::is_warehouse_code;

/// One request stays one statement of some milliseconds; a whole catalog is sent in pages.
const RECEIPTS_MAX: usize = 1_000;
/// More than any warehouse takes in at once; a thousand of these stay far below the end of the counter.
const QUANTITY_MAX: i64 = 1_000_000_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiveStock {
    /// 1 to 1,000 receipts; several of the same SKU and warehouse add up.
    pub(crate) receipts: Vec<Receipt>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receipt {
    pub(crate) sku: String,
    /// The warehouse's code.
    pub(crate) warehouse: String,
    /// 1 to 1,000,000,000.
    pub(crate) quantity: i64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ReceivedStock {
    /// What lies there now, of each SKU and warehouse that received something.
    stock: Vec<OnHand>,
}

#[derive(Debug, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub(crate) struct OnHand {
    sku: String,
    warehouse: String,
    on_hand: i64,
}

/// Counts goods in, all of the call or none.
#[utoipa::path(
    operation_id = "receive_stock", post, path = "/v1/admin/stock/receipts", tag = "inventory", request_body = ReceiveStock,
    params(("Idempotency-Key" = String, Header, description = "Goods are counted once per key")),
    responses(
        (status = 201, body = ReceivedStock),
        (status = 400, description = "Without an Idempotency-Key"),
        (status = 422, description = "Something in it cannot be used; nothing was received")
    )
)]
pub(crate) async fn handle(State(http): State<HttpContext>, post: Post<ReceiveStock>) -> Result<Response, Problem> {
    post.caller.require(Scope::Server)?;
    let claim = post.required_claim()?.clone();
    validate(&post.body.receipts)?;
    let Post { caller, body, .. } = post;
    idempotency::once(&http.db, Some(&claim), move |tx| {
        Box::pin(async move { receive(tx, &caller, &body.receipts).await })
    })
    .await
}

fn validate(receipts: &[Receipt]) -> Result<(), Problem> {
    if !(1..=RECEIPTS_MAX).contains(&receipts.len()) {
        return Err(Problem::invalid(
            "/receipts",
            format!("Between 1 and {RECEIPTS_MAX} receipts can be sent at once."),
        ));
    }
    for (index, receipt) in receipts.iter().enumerate() {
        check_sku(&receipt.sku).map_err(|error| invalid(index, "sku", error.to_string()))?;
        if !is_warehouse_code(&receipt.warehouse) {
            return Err(invalid(
                index,
                "warehouse",
                "A warehouse's code has 1 to 32 of the characters A-Z a-z 0-9 . _ -",
            ));
        }
        if !(1..=QUANTITY_MAX).contains(&receipt.quantity) {
            return Err(invalid(index, "quantity", format!("The quantity must be between 1 and {QUANTITY_MAX}.")));
        }
    }
    Ok(())
}

fn invalid(index: usize, field: &str, detail: impl Into<String>) -> Problem {
    Problem::invalid(&format!("/receipts/{index}/{field}"), detail)
}

async fn receive(tx: &mut PgConnection, caller: &Caller, receipts: &[Receipt]) -> Result<Answer, Problem> {
    let warehouses = warehouses(tx, caller, receipts).await?;
    let mut warehouse_ids = Vec::with_capacity(receipts.len());
    for (index, receipt) in receipts.iter().enumerate() {
        let id = warehouses
            .get(&receipt.warehouse)
            .ok_or_else(|| invalid(index, "warehouse", "There is no such warehouse."))?;
        warehouse_ids.push(*id);
    }
    let stock = post_receipts(tx, caller, receipts, &warehouse_ids).await?;
    let body = serde_json::to_string(&ReceivedStock { stock }).map_err(anyhow::Error::from)?;
    Ok(Answer { status: StatusCode::CREATED.as_u16(), body, location: None })
}

async fn warehouses(
    tx: &mut PgConnection,
    caller: &Caller,
    receipts: &[Receipt],
) -> Result<HashMap<String, Uuid>, sqlx::Error> {
    let codes: BTreeSet<&str> = receipts.iter().map(|receipt| receipt.warehouse.as_str()).collect();
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        r"
        select code, id from warehouse
        where account_id = $1 and livemode = $2 and code = any($3)
        ",
    )
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .bind(codes.into_iter().collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Writes the receipts and adds them up in stock, whose rows are locked in the order of their key.
async fn post_receipts(
    tx: &mut PgConnection,
    caller: &Caller,
    receipts: &[Receipt],
    warehouse_ids: &[Uuid],
) -> Result<Vec<OnHand>, Problem> {
    let received = sqlx::query_as(
        r#"
        with given as (
            select * from unnest($3::text[], $4::uuid[], $5::bigint[]) as t (sku, warehouse_id, quantity)
        ), kept as (
            insert into stock_receipt (account_id, livemode, sku, warehouse_id, quantity, actor)
            select $1, $2, sku, warehouse_id, quantity, $6 from given
        ), added as (
            insert into stock (account_id, livemode, sku, warehouse_id, on_hand)
            select $1, $2, sku, warehouse_id, sum(quantity)::bigint from given
            group by sku, warehouse_id
            order by sku collate "C", warehouse_id
            on conflict (account_id, livemode, sku, warehouse_id)
            do update set on_hand = stock.on_hand + excluded.on_hand
            returning sku, warehouse_id, on_hand
        )
        select a.sku, w.code as warehouse, a.on_hand
        from added a
        join warehouse w on w.id = a.warehouse_id
        order by a.sku, w.code
        "#,
    )
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .bind(receipts.iter().map(|receipt| receipt.sku.as_str()).collect::<Vec<_>>())
    .bind(warehouse_ids)
    .bind(receipts.iter().map(|receipt| receipt.quantity).collect::<Vec<_>>())
    .bind(&caller.actor)
    .fetch_all(tx)
    .await;
    received.map_err(too_much_is_invalid)
}

/// The limit is a constraint of the table, because only there all receipts meet.
fn too_much_is_invalid(error: sqlx::Error) -> Problem {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::constraint) {
        Some("stock_on_hand_limit") => Problem::invalid("/receipts", "No warehouse can have so much of one SKU."),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
