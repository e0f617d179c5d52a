//! Puts back what a completed checkout took, into the warehouses that it came from. The sale stays in the books: what comes
//! back is a receipt, so that on hand is still the sum of receipts less the sum of sales.

use anyhow::Context;
use makegood_contracts::{inventory::RestockSale, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{hold::State, store};

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<RestockSale>]) -> anyhow::Result<Vec<Outcome>> {
    let checkouts: Vec<Uuid> = jobs.iter().map(|job| job.input.checkout_id).collect();
    let holds = store::lock_holds(tx, &checkouts).await?;
    let is_sold = |checkout: &Uuid| holds.get(checkout).is_some_and(|hold| hold.state() == State::Committed);
    let sold: Vec<(Uuid, String)> = jobs
        .iter()
        .filter(|job| is_sold(&job.input.checkout_id))
        .map(|job| (job.input.checkout_id, format!("saga {}", job.key.saga_id)))
        .collect();
    receive(tx, sold).await.context("putting sold stock back")?;
    let outcome = |checkout: &Uuid| match is_sold(checkout) {
        true => Outcome::done(),
        false => Outcome::defect(format!("Checkout {checkout} has no committed hold: nothing can be put back.")),
    };
    Ok(checkouts.iter().map(outcome).collect())
}

/// One receipt per line of each hold, and the counters with them, locked in the order of the key.
async fn receive(tx: &mut PgConnection, sold: Vec<(Uuid, String)>) -> Result<(), sqlx::Error> {
    if sold.is_empty() {
        return Ok(());
    }
    let (ids, actors): (Vec<Uuid>, Vec<String>) = sold.into_iter().unzip();
    sqlx::query(
        r"
        with line as (
            select h.id, h.account_id, h.livemode, l.sku, l.warehouse_id, l.quantity, s.actor
            from unnest($1::uuid[], $2::text[]) as s (id, actor)
            join hold h using (id)
            cross join lateral unnest(h.skus, h.warehouse_ids, h.quantities) as l (sku, warehouse_id, quantity)
        ), receipt as (
            insert into stock_receipt (account_id, livemode, sku, warehouse_id, quantity, actor, restocked_hold)
            select account_id, livemode, sku, warehouse_id, quantity, actor, id from line
            -- It came back already, for another saga.
            on conflict (restocked_hold, sku, warehouse_id) where restocked_hold is not null do nothing
            returning account_id, livemode, sku, warehouse_id, quantity
        ), posting as (
            select account_id, livemode, sku, warehouse_id, sum(quantity)::bigint as quantity
            from receipt
            group by account_id, livemode, sku, warehouse_id
        ), locked as (
            select s.account_id, s.livemode, s.sku, s.warehouse_id, p.quantity
            from posting p
            join stock s using (account_id, livemode, sku, warehouse_id)
            order by s.account_id, s.livemode, s.sku, s.warehouse_id
            for update of s
        )
        update stock s set on_hand = s.on_hand + l.quantity
        from locked l
        where s.account_id = l.account_id and s.livemode = l.livemode
          and s.sku = l.sku and s.warehouse_id = l.warehouse_id
        ",
    )
    .bind(ids)
    .bind(actors)
    .execute(tx)
    .await?;
    Ok(())
}
