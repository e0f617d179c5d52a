//! Promises the held stock to the order, and says which warehouse ships what. From here on the hold has no deadline: payment
//! may begin. Against the sweeper, whoever locks the row first decides.

use std::collections::HashMap;

use anyhow::Context;
use makegood_contracts::{
    inventory::{AllocatedStock, Allocation, OwnHold},
    reply::Outcome,
};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    hold::{Hold, Verdict},
    store,
};

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<OwnHold>]) -> anyhow::Result<Vec<Outcome>> {
    let mut holds = store::lock_holds(tx, &super::hold_ids(jobs)).await?;
    let verdicts: Vec<Verdict> =
        jobs.iter().map(|job| holds.get_mut(&job.key.saga_id).map_or(Verdict::Expired, Hold::allocate)).collect();
    store::save_moved(tx, &holds).await?;
    let mut allocations = allocations_of(tx, &super::hold_ids(jobs)).await?;
    jobs.iter().zip(verdicts).map(|(job, verdict)| outcome(verdict, allocations.remove(&job.key.saga_id))).collect()
}

fn outcome(verdict: Verdict, allocations: Option<Vec<Allocation>>) -> anyhow::Result<Outcome> {
    match verdict {
        Verdict::Done => {
            let allocations = allocations.unwrap_or_default();
            Ok(Outcome::Done { output: serde_json::to_value(AllocatedStock { allocations })? })
        }
        Verdict::Expired | Verdict::Illegal(_) => Ok(super::hold_moved(verdict)),
    }
}

/// The holds' lines in their own order, with the codes by which people know the warehouses.
async fn allocations_of(tx: &mut PgConnection, ids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Vec<Allocation>>> {
    let rows: Vec<(Uuid, String, String, i64)> = sqlx::query_as(
        r"
        select h.id, w.code, l.sku, l.quantity
        from hold h
        cross join lateral unnest(h.skus, h.warehouse_ids, h.quantities) with ordinality
            as l (sku, warehouse_id, quantity, position)
        join warehouse w on w.id = l.warehouse_id
        where h.id = any($1) and h.state = 'allocated'
        order by h.id, l.position
        ",
    )
    .bind(ids)
    .fetch_all(tx)
    .await
    .context("reading allocations")?;
    let mut by_hold: HashMap<Uuid, Vec<Allocation>> = HashMap::new();
    for (id, warehouse, sku, quantity) in rows {
        by_hold.entry(id).or_default().push(Allocation { warehouse, sku, quantity });
    }
    Ok(by_hold)
}

#[cfg(test)]
mod tests;
