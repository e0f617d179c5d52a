//! `begin_cancel`: the cancellation's saga runs, so it need not be started again. It looks once more whether a part of the
//! order has left since the wish was taken.

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_contracts::{order::BeginCancel, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<BeginCancel>]) -> anyhow::Result<Vec<Outcome>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.input.cancellation_id).collect();
    let found: HashMap<Uuid, String> = begin(tx, &ids).await.context("beginning cancellations")?.into_iter().collect();
    let outcome = |id: &Uuid| match found.get(id).map(String::as_str) {
        Some("unfulfilled") => Outcome::done(),
        Some(_) => {
            Outcome::refused("order_shipped", "A part of the order has left: it can be returned when it has arrived.")
        }
        None => Outcome::defect(format!("There is no cancellation {id}.")),
    };
    Ok(ids.iter().map(outcome).collect())
}

/// Each cancellation with how much of its order has left. Beginning one that has begun or ended changes nothing.
async fn begin(tx: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    sqlx::query(
        r#"
        with locked as materialized (
            select id from order_cancellation where id = any($1) and status = 'requested' order by id for update
        )
        update order_cancellation c set status = 'started', resend_at = null from locked where c.id = locked.id
        "#,
    )
    .bind(ids)
    .execute(&mut *tx)
    .await?;
    sqlx::query_as(
        r#"
        select c.id, orders.fulfillment_status
        from order_cancellation c join orders on orders.id = c.order_id
        where c.id = any($1)
        "#,
    )
    .bind(ids)
    .fetch_all(tx)
    .await
}
