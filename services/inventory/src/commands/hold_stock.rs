//! Holds every line of a cart, or none, until the TTL. What the buyer has confirmed already is allocated at once, and has no
//! deadline: there is nothing to wait for.
//!
//! A thousand carts that want the same SKU cost one row lock and one row update per batch. A SKU that is sold out
//! costs neither: its rows are not even locked.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context;
use makegood_contracts::{
    account::Account,
    inventory::{Allocation, HeldStock, HoldStock},
    reply::Outcome,
};
use makegood_messaging::{
    barrier::{self, AlreadyDecided},
    participant::Job,
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    hold::State,
    hold_plan::{self, FreeStock, Order, Pick, Plan},
};

pub(crate) async fn handle(
    tx: &mut PgConnection,
    jobs: &[Job<HoldStock>],
    ttl_seconds: u32,
) -> anyhow::Result<Vec<Outcome>> {
    let (free, warehouses) = lock_free_stock(tx, jobs).await?;
    let orders: Vec<Order<'_>> =
        jobs.iter().map(|job| Order { account: job.input.account, lines: &job.input.lines }).collect();
    let plans = hold_plan::plan_all(free, &orders);
    let holds: Vec<NewHold<'_>> = jobs.iter().zip(&plans).filter_map(|(job, plan)| new_hold(job, plan)).collect();
    let deadlines = take(tx, &holds, ttl_seconds).await?;
    if deadlines.len() < holds.len() {
        refuse_duplicates(tx, jobs).await?;
    }
    let outcome = |(job, plan): (&Job<HoldStock>, _)| outcome(job, plan, &warehouses, deadlines.get(&job.key.saga_id));
    jobs.iter().zip(&plans).map(outcome).collect()
}

/// The codes by which people know the warehouses.
type Warehouses = HashMap<Uuid, String>;

struct NewHold<'a> {
    id: Uuid,
    account: Account,
    state: State,
    picks: &'a [Pick],
}

fn new_hold<'a>(job: &Job<HoldStock>, plan: &'a Plan) -> Option<NewHold<'a>> {
    match plan {
        Plan::Hold(picks) => {
            let state = State::at_first(job.input.confirmed);
            Some(NewHold { id: job.key.saga_id, account: job.input.account, state, picks })
        }
        Plan::OutOfStock(_) | Plan::Unusable => None,
    }
}

/// A planned hold without a deadline was not written, because the saga holds something already.
fn outcome(
    job: &Job<HoldStock>,
    plan: &Plan,
    warehouses: &Warehouses,
    deadline: Option<&OffsetDateTime>,
) -> anyhow::Result<Outcome> {
    match (plan, deadline) {
        (Plan::Hold(picks), Some(expires_at)) => {
            let allocations = job.input.confirmed.then(|| allocations_of(picks, warehouses)).transpose()?;
            let held = HeldStock { expires_at: *expires_at, allocations };
            Ok(Outcome::Done { output: serde_json::to_value(held)? })
        }
        (Plan::Hold(_), None) => Ok(Outcome::defect("The saga holds stock already: a saga has one hold.")),
        (Plan::OutOfStock(shortages), _) => Ok(Outcome::refused("out_of_stock", hold_plan::describe(shortages))),
        (Plan::Unusable, _) => {
            Ok(Outcome::refused("invalid_lines", "Stock is held for at least one line, each of a positive quantity."))
        }
    }
}

fn allocations_of(picks: &[Pick], warehouses: &Warehouses) -> anyhow::Result<Vec<Allocation>> {
    let allocation = |pick: &Pick| {
        let warehouse = warehouses.get(&pick.warehouse_id).context("stock was picked from an unknown warehouse")?;
        Ok(Allocation { warehouse: warehouse.clone(), sku: pick.sku.clone(), quantity: pick.quantity })
    };
    picks.iter().map(allocation).collect()
}

/// A saga of this batch has a hold already. Nearly always the command came twice: then the batch is rolled back, and
/// run again without it.
async fn refuse_duplicates(tx: &mut PgConnection, jobs: &[Job<HoldStock>]) -> anyhow::Result<()> {
    let keys: Vec<_> = jobs.iter().map(|job| &job.key).collect();
    if barrier::outcomes(tx, &keys).await?.iter().any(Option::is_some) {
        return Err(AlreadyDecided.into());
    }
    Ok(())
}

/// Locks, in the order of the key, every row of the batch's SKUs that has anything free.
async fn lock_free_stock(
    tx: &mut PgConnection,
    jobs: &[Job<HoldStock>],
) -> anyhow::Result<(Vec<FreeStock>, Warehouses)> {
    let wanted: BTreeSet<(Account, &str)> =
        jobs.iter().flat_map(|job| job.input.lines.iter().map(|line| (job.input.account, line.sku.as_str()))).collect();
    let rows: Vec<(Uuid, bool, String, Uuid, i32, i64, String)> = sqlx::query_as(
        r"
        select s.account_id, s.livemode, s.sku, s.warehouse_id, w.priority, s.on_hand - s.held - s.allocated, w.code
        from unnest($1::uuid[], $2::bool[], $3::text[]) as wanted (account_id, livemode, sku)
        join stock s using (account_id, livemode, sku)
        join warehouse w on w.id = s.warehouse_id
        where s.on_hand - s.held - s.allocated > 0
        order by s.account_id, s.livemode, s.sku, s.warehouse_id
        for update of s
        ",
    )
    .bind(wanted.iter().map(|(account, _)| account.id).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(account, _)| account.livemode).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, sku)| *sku).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .context("locking free stock")?;
    let mut warehouses = Warehouses::new();
    let free = |(id, livemode, sku, warehouse_id, priority, quantity, code)| {
        warehouses.entry(warehouse_id).or_insert(code);
        FreeStock { account: Account { id, livemode }, sku, warehouse_id, priority, quantity }
    };
    let free = rows.into_iter().map(free).collect();
    Ok((free, warehouses))
}

/// Writes the holds and takes their stock, one update per stock row. Returns of each hold that was written until when it
/// waits for the buyer, by the database's clock.
async fn take(
    tx: &mut PgConnection,
    holds: &[NewHold<'_>],
    ttl_seconds: u32,
) -> anyhow::Result<HashMap<Uuid, OffsetDateTime>> {
    if holds.is_empty() {
        return Ok(HashMap::new());
    }
    let picks: Vec<(Uuid, &Pick)> =
        holds.iter().flat_map(|hold| hold.picks.iter().map(|pick| (hold.id, pick))).collect();
    let written: Vec<(Uuid, OffsetDateTime)> = sqlx::query_as(
        r"
        with line as (
            select hold_id, array_agg(sku order by position) as skus,
                   array_agg(warehouse_id order by position) as warehouse_ids,
                   array_agg(quantity order by position) as quantities
            from unnest($4::uuid[], $5::text[], $6::uuid[], $7::bigint[]) with ordinality
                as t (hold_id, sku, warehouse_id, quantity, position)
            group by hold_id
        ), written as (
            insert into hold (id, account_id, livemode, state, expires_at, skus, warehouse_ids, quantities)
            select f.id, f.account_id, f.livemode, f.state,
                   case when f.state = 'held' then now() + make_interval(secs => $8) end,
                   l.skus, l.warehouse_ids, l.quantities
            from unnest($1::uuid[], $2::uuid[], $3::bool[], $9::text[]) as f (id, account_id, livemode, state)
            join line l on l.hold_id = f.id
            order by f.id
            on conflict (id) do nothing
            returning id, account_id, livemode, state, skus, warehouse_ids, quantities
        ), posting as (
            select w.account_id, w.livemode, l.sku, l.warehouse_id,
                   coalesce(sum(l.quantity) filter (where w.state = 'held'), 0)::bigint as held,
                   coalesce(sum(l.quantity) filter (where w.state = 'allocated'), 0)::bigint as allocated
            from written w
            cross join lateral unnest(w.skus, w.warehouse_ids, w.quantities) as l (sku, warehouse_id, quantity)
            group by w.account_id, w.livemode, l.sku, l.warehouse_id
        ), taken as (
            update stock s set held = s.held + p.held, allocated = s.allocated + p.allocated
            from posting p
            where s.account_id = p.account_id and s.livemode = p.livemode
              and s.sku = p.sku and s.warehouse_id = p.warehouse_id
        )
        select id, now() + make_interval(secs => $8) from written
        ",
    )
    .bind(holds.iter().map(|hold| hold.id).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.account.id).collect::<Vec<_>>())
    .bind(holds.iter().map(|hold| hold.account.livemode).collect::<Vec<_>>())
    .bind(picks.iter().map(|(hold_id, _)| *hold_id).collect::<Vec<_>>())
    .bind(picks.iter().map(|(_, pick)| pick.sku.as_str()).collect::<Vec<_>>())
    .bind(picks.iter().map(|(_, pick)| pick.warehouse_id).collect::<Vec<_>>())
    .bind(picks.iter().map(|(_, pick)| pick.quantity).collect::<Vec<_>>())
    .bind(f64::from(ttl_seconds))
    .bind(holds.iter().map(|hold| hold.state.as_str()).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .context("writing holds and taking their stock")?;
    Ok(written.into_iter().collect())
}

#[cfg(test)]
mod tests;
