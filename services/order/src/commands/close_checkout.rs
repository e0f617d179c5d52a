//! `close_checkout`: the saga has ended, and so the checkout and its order are decided for good.
//!
//! A checkout that never opened has no order; then its callers are answered with the refusal, stored under
//! their key in this very transaction.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use makegood_contracts::{orchestrator::Ending, order::CloseCheckout, reply::Outcome};
use makegood_messaging::{
    event_log::{self, NewEvent},
    participant::Job,
};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::open_checkout::store_answers;
use crate::{
    checkout::{self, Decision},
    checkout_row::{self, CheckoutRow, checkout_columns},
    order,
    order_state::{OrderState, order_state_columns},
};

/// Decides what is undecided. A job that finds its checkout decided comes late and changes nothing.
pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<CloseCheckout>]) -> anyhow::Result<Vec<Outcome>> {
    let decisions: Vec<Decision> =
        jobs.iter().map(|job| checkout::decide(job.input.ended, job.input.reason.as_ref())).collect();
    let closed = close(tx, jobs, &decisions).await.context("closing checkouts")?;
    let opened: Vec<&CheckoutRow> = closed.iter().filter(|row| row.hold_expires_at.is_some()).collect();
    let orders = close_orders(tx, jobs, &opened).await.context("closing orders")?;
    let events = events(&orders, &closed)?;
    event_log::record(tx, &events).await.context("recording closed orders")?;
    let refused: Vec<CheckoutRow> = closed.iter().filter(|row| row.hold_expires_at.is_none()).cloned().collect();
    store_answers(tx, &refused).await.context("storing the answers of refused checkouts")?;

    let closed: HashSet<Uuid> = closed.iter().map(|row| row.id).collect();
    outcomes(tx, jobs, &closed).await
}

async fn close(
    tx: &mut PgConnection,
    jobs: &[Job<CloseCheckout>],
    decisions: &[Decision],
) -> Result<Vec<CheckoutRow>, sqlx::Error> {
    let failure = |field: fn(&checkout::Failure) -> &String| -> Vec<Option<&str>> {
        decisions.iter().map(|decision| decision.failure.as_ref().map(|failure| field(failure).as_str())).collect()
    };
    sqlx::query_as(concat!(
        "
        with closing as (
            select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
                     as closing (id, status, failure_code, failure_detail)
        ), locked as materialized (
            select checkout.id from checkout join closing using (id)
            where checkout.decided_at is null order by checkout.id for update of checkout
        )
        update checkout
        set status = closing.status, failure_code = closing.failure_code, failure_detail = closing.failure_detail,
            decided_at = now(), resend_at = null, version = checkout.version + 1
        from locked join closing using (id)
        where checkout.id = locked.id and checkout.decided_at is null
          -- What never opened cannot have completed: such a saga ran on another database's past.
          and (checkout.opened_at is not null or closing.status <> 'completed')
        returning ",
        checkout_columns!()
    ))
    .bind(jobs.iter().map(|job| job.key.saga_id).collect::<Vec<_>>())
    .bind(decisions.iter().map(|decision| decision.status.as_str()).collect::<Vec<_>>())
    .bind(failure(|failure| &failure.code))
    .bind(failure(|failure| &failure.detail))
    .fetch_all(tx)
    .await
}

/// Orders follow their checkouts, and learn which shipments they consist of: some may have left already.
async fn close_orders(
    tx: &mut PgConnection,
    jobs: &[Job<CloseCheckout>],
    opened: &[&CheckoutRow],
) -> anyhow::Result<Vec<OrderState>> {
    if opened.is_empty() {
        return Ok(Vec::new());
    }
    let planned: HashMap<Uuid, &Vec<Uuid>> = jobs
        .iter()
        .filter(|job| job.input.ended == Ending::Completed)
        .filter_map(|job| Some((job.key.saga_id, job.input.input.shipment_ids.as_ref()?)))
        .collect();
    let mut orders: Vec<OrderState> = sqlx::query_as(concat!(
        "
        with closing as (
            select * from unnest($1::uuid[], $2::text[], $3::jsonb[]) as closing (id, status, planned_shipments)
        ), locked as materialized (
            select orders.id from orders join closing using (id) order by orders.id for update of orders
        )
        update orders
        set status = closing.status, planned_shipments = closing.planned_shipments, version = orders.version + 1
        from locked join closing using (id)
        where orders.id = locked.id and orders.status = 'pending'
        returning ",
        order_state_columns!()
    ))
    .bind(opened.iter().map(|row| row.order_id).collect::<Vec<_>>())
    .bind(opened.iter().map(|row| order::status_for(row.status)).collect::<Vec<_>>())
    .bind(opened.iter().map(|row| planned.get(&row.id).map(|ids| Json(*ids))).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?;
    correct_fulfillment(tx, &mut orders).await?;
    Ok(orders)
}

/// The first shipment of an order whose plan was unknown has made it `shipped`; now it may turn out to be one of two.
async fn correct_fulfillment(tx: &mut PgConnection, orders: &mut [OrderState]) -> Result<(), sqlx::Error> {
    let mut corrected: Vec<(Uuid, &str)> = Vec::new();
    for order in orders {
        let fulfillment_status = order.fulfillment();
        if order.fulfillment_status != fulfillment_status {
            order.fulfillment_status = fulfillment_status.to_owned();
            corrected.push((order.id, fulfillment_status));
        }
    }
    if corrected.is_empty() {
        return Ok(());
    }
    let (ids, statuses): (Vec<Uuid>, Vec<&str>) = corrected.into_iter().unzip();
    sqlx::query(
        r#"
        update orders set fulfillment_status = corrected.fulfillment_status
        from unnest($1::uuid[], $2::text[]) as corrected (id, fulfillment_status)
        where orders.id = corrected.id
        "#,
    )
    .bind(ids)
    .bind(statuses)
    .execute(tx)
    .await?;
    Ok(())
}

fn events(orders: &[OrderState], closed: &[CheckoutRow]) -> anyhow::Result<Vec<NewEvent>> {
    let checkouts: HashMap<Uuid, &CheckoutRow> = closed.iter().map(|row| (row.id, row)).collect();
    let mut events = Vec::with_capacity(orders.len());
    for order in orders {
        let checkout = checkouts
            .get(&order.checkout_id)
            .with_context(|| format!("order {} closed without its checkout", order.id))?;
        if let Some(name) = order::closing_event(checkout.status) {
            events.push(order.changed(name, checkout.failure_code.as_deref())?);
        }
    }
    Ok(events)
}

/// Done for what is decided, now or before. An unknown checkout, or one that completed without having opened, is a
/// defect for an operator.
async fn outcomes(
    tx: &mut PgConnection,
    jobs: &[Job<CloseCheckout>],
    closed: &HashSet<Uuid>,
) -> anyhow::Result<Vec<Outcome>> {
    let late: Vec<Uuid> = jobs.iter().map(|job| job.key.saga_id).filter(|id| !closed.contains(id)).collect();
    let found = checkout_row::statuses(tx, &late).await?;
    let outcome = |id: &Uuid| match found.get(id) {
        _ if closed.contains(id) => Outcome::done(),
        Some(status) if status.is_final() => Outcome::done(),
        Some(status) => Outcome::defect(format!("The saga completed while its checkout {id} is {}.", status.as_str())),
        None => Outcome::defect(format!("There is no checkout {id}.")),
    };
    Ok(jobs.iter().map(|job| outcome(&job.key.saga_id)).collect())
}
