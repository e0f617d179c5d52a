//! Puts back what a return brought and can be sold again, into the warehouses that sold it. The sale stays in the books: what
//! comes back is a receipt that names the return and the sale, by which all returns of one sale are counted.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use makegood_contracts::{
    inventory::{RestockReturn, RestockedReturn},
    reply::Outcome,
};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    hold::State,
    restock_plan::{Restock, SoldLine, TooMany, plan},
    store,
};

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<RestockReturn>]) -> anyhow::Result<Vec<Outcome>> {
    let checkouts: Vec<Uuid> = jobs.iter().map(|job| job.input.checkout_id).collect();
    // The holds stay locked, so that two returns of one sale are counted one after the other.
    let holds = store::lock_holds(tx, &checkouts).await?;
    let is_sold = |checkout: &Uuid| holds.get(checkout).is_some_and(|hold| hold.state() == State::Committed);
    let mut sold = sold_lines(tx, &checkouts).await.context("reading what was sold and what is back")?;
    let mut done_before = returned_before(tx, jobs).await.context("reading what was returned before")?;
    let mut receipts: Vec<(Uuid, Uuid, Uuid, Restock)> = Vec::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        let RestockReturn { return_id, checkout_id, lines } = &job.input;
        let Some(sold) = sold.get_mut(checkout_id).filter(|_| is_sold(checkout_id)) else {
            outcomes.push(Outcome::defect(format!("Checkout {checkout_id} has no committed hold: nothing was sold.")));
            continue;
        };
        let units: i64 = lines.iter().map(|line| line.quantity).sum();
        let planned = match done_before.insert(*return_id) {
            true => plan(sold, lines.iter().map(|line| (line.sku.as_str(), line.quantity))),
            false => Ok(Vec::new()),
        };
        outcomes.push(match planned {
            Ok(plan) => {
                receipts.extend(plan.into_iter().map(|one| (*return_id, *checkout_id, job.key.saga_id, one)));
                Outcome::Done { output: serde_json::to_value(RestockedReturn { units })? }
            }
            Err(TooMany { sku, at_most }) => {
                done_before.remove(return_id);
                Outcome::defect(format!("Of {sku} at most {at_most} can come back from checkout {checkout_id}."))
            }
        });
    }
    receive(tx, &receipts).await.context("putting returned stock back")?;
    Ok(outcomes)
}

/// The lines of these holds with what is back of each already, by hold.
async fn sold_lines(tx: &mut PgConnection, holds: &[Uuid]) -> Result<HashMap<Uuid, Vec<SoldLine>>, sqlx::Error> {
    let rows: Vec<(Uuid, String, Uuid, i64, i64)> = sqlx::query_as(
        r"
        select h.id, l.sku, l.warehouse_id, sum(l.quantity)::bigint,
               (select coalesce(sum(r.quantity), 0)::bigint from stock_receipt r
                where (r.returned_hold = h.id or r.restocked_hold = h.id) and r.sku = l.sku and r.warehouse_id = l.warehouse_id)
        from hold h
        cross join lateral unnest(h.skus, h.warehouse_ids, h.quantities) with ordinality as l (sku, warehouse_id, quantity, place)
        where h.id = any($1)
        group by h.id, l.sku, l.warehouse_id
        order by h.id, min(l.place)
        ",
    )
    .bind(holds)
    .fetch_all(tx)
    .await?;
    let mut lines: HashMap<Uuid, Vec<SoldLine>> = HashMap::new();
    for (hold, sku, warehouse_id, sold, back) in rows {
        lines.entry(hold).or_default().push(SoldLine { sku, warehouse_id, sold, back });
    }
    Ok(lines)
}

/// Returns that are in stock already, whichever command has put them there.
async fn returned_before(tx: &mut PgConnection, jobs: &[Job<RestockReturn>]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.input.return_id).collect();
    let found: Vec<Uuid> = sqlx::query_scalar("select distinct return_id from stock_receipt where return_id = any($1)")
        .bind(ids)
        .fetch_all(tx)
        .await?;
    Ok(found.into_iter().collect())
}

/// One receipt per warehouse and SKU of each return, and the counters with them, locked in the order of the key.
async fn receive(tx: &mut PgConnection, receipts: &[(Uuid, Uuid, Uuid, Restock)]) -> Result<(), sqlx::Error> {
    if receipts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r"
        with line as (
            select h.account_id, h.livemode, t.*
            from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::bigint[])
                 as t (return_id, hold, actor, sku, warehouse_id, quantity)
            join hold h on h.id = t.hold
        ), receipt as (
            insert into stock_receipt (account_id, livemode, sku, warehouse_id, quantity, actor, return_id, returned_hold)
            select account_id, livemode, sku, warehouse_id, quantity, actor, return_id, hold from line
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
    .bind(receipts.iter().map(|(return_id, ..)| *return_id).collect::<Vec<_>>())
    .bind(receipts.iter().map(|(_, hold, ..)| *hold).collect::<Vec<_>>())
    .bind(receipts.iter().map(|(_, _, saga, _)| format!("saga {saga}")).collect::<Vec<_>>())
    .bind(receipts.iter().map(|(.., one)| one.sku.as_str()).collect::<Vec<_>>())
    .bind(receipts.iter().map(|(.., one)| one.warehouse_id).collect::<Vec<_>>())
    .bind(receipts.iter().map(|(.., one)| one.quantity).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
