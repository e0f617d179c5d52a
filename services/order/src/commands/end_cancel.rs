//! `end_cancel`: the cancellation's saga has ended. The order is cancelled, or stays as it is and the reason is told.

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_contracts::{
    orchestrator::Ending,
    order::{EndCancel, ORDER_CANCEL_REFUSED, ORDER_CANCELLED},
    reply::Outcome,
};
use makegood_messaging::{event_log, participant::Job};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::order_state::{OrderState, order_state_columns};

/// Decides what is undecided. A job that finds its cancellation decided comes late and changes nothing.
pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<EndCancel>]) -> anyhow::Result<Vec<Outcome>> {
    let ended = end(tx, jobs).await.context("ending cancellations")?;
    let failures: HashMap<Uuid, Option<String>> =
        ended.iter().map(|(_, order_id, failure_code)| (*order_id, failure_code.clone())).collect();
    let orders = change_orders(tx, &failures).await.context("changing orders whose cancellation ended")?;
    let events = orders.iter().map(|order| match failures.get(&order.id).cloned().flatten() {
        Some(code) => order.changed(ORDER_CANCEL_REFUSED, Some(&code)),
        None => order.changed(ORDER_CANCELLED, None),
    });
    let events: Vec<_> = events.collect::<anyhow::Result<_>>()?;
    event_log::record(tx, &events).await.context("recording orders whose cancellation ended")?;
    outcomes(tx, jobs).await
}

/// The cancellations that this decides: its id, its order's, and the code that it was refused for.
async fn end(tx: &mut PgConnection, jobs: &[Job<EndCancel>]) -> Result<Vec<(Uuid, Uuid, Option<String>)>, sqlx::Error> {
    let reason = |job: &Job<EndCancel>| match (job.input.ended, &job.input.reason) {
        (Ending::Completed, _) => (None, None),
        (Ending::Compensated, Some(reason)) => (Some(reason.code.clone()), Some(reason.detail.clone())),
        (Ending::Compensated, None) => (Some("cancelled".to_owned()), None),
    };
    let (codes, details): (Vec<Option<String>>, Vec<Option<String>>) = jobs.iter().map(reason).unzip();
    sqlx::query_as(
        r#"
        with ending as (
            select distinct on (id) * from unnest($1::uuid[], $2::text[], $3::text[]) as ending (id, code, detail)
        ), locked as materialized (
            select c.id from order_cancellation c join ending using (id) where c.decided_at is null order by c.id for update of c
        )
        update order_cancellation c
        set status = case when ending.code is null then 'completed' else 'refused' end,
            failure_code = ending.code, failure_detail = ending.detail, decided_at = now(), resend_at = null
        from locked join ending using (id)
        where c.id = locked.id
        returning c.id, c.order_id, c.failure_code
        "#,
    )
    .bind(jobs.iter().map(|job| job.input.input.cancellation_id).collect::<Vec<_>>())
    .bind(codes)
    .bind(details)
    .fetch_all(tx)
    .await
}

/// Each order of a decided cancellation has one version more; a cancelled one its status too.
async fn change_orders(
    tx: &mut PgConnection,
    failures: &HashMap<Uuid, Option<String>>,
) -> Result<Vec<OrderState>, sqlx::Error> {
    if failures.is_empty() {
        return Ok(Vec::new());
    }
    let (ids, refused): (Vec<Uuid>, Vec<bool>) = failures.iter().map(|(id, failure)| (*id, failure.is_some())).unzip();
    sqlx::query_as(concat!(
        "
        with ended as (
            select * from unnest($1::uuid[], $2::boolean[]) as ended (id, is_refused)
        ), locked as materialized (
            select orders.id from orders join ended using (id) order by orders.id for update of orders
        )
        update orders
        set status = case when ended.is_refused then orders.status else 'cancelled' end, version = orders.version + 1
        from locked join ended using (id)
        where orders.id = locked.id
        returning ",
        order_state_columns!()
    ))
    .bind(ids)
    .bind(refused)
    .fetch_all(tx)
    .await
}

/// Done for what is decided, now or before.
async fn outcomes(tx: &mut PgConnection, jobs: &[Job<EndCancel>]) -> anyhow::Result<Vec<Outcome>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.input.input.cancellation_id).collect();
    let decided: Vec<Uuid> =
        sqlx::query_scalar("select id from order_cancellation where id = any($1) and decided_at is not null")
            .bind(&ids)
            .fetch_all(tx)
            .await
            .context("reading decided cancellations")?;
    let outcome = |id: &Uuid| match decided.contains(id) {
        true => Outcome::done(),
        false => Outcome::defect(format!("There is no cancellation {id}.")),
    };
    Ok(ids.iter().map(outcome).collect())
}
