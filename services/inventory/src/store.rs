//! Holds in the database, as the commands share them: locked in the order of their ids, then moved, their stock with
//! them.

use std::collections::HashMap;

use anyhow::Context;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::hold::{Hold, State};

/// Locks the holds of these sagas and tells how they stand by the database's clock. One that does not exist is absent.
pub(crate) async fn lock_holds(tx: &mut PgConnection, ids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Hold>> {
    let rows: Vec<(Uuid, String, bool)> = sqlx::query_as(
        r"
        select id, state, coalesce(expires_at <= clock_timestamp(), false)
        from hold
        where id = any($1)
        order by id
        for update
        ",
    )
    .bind(ids)
    .fetch_all(tx)
    .await
    .context("locking holds")?;
    rows.into_iter()
        .map(|(id, state, overdue)| {
            let state = State::parse(&state).with_context(|| format!("hold {id} is in the unknown state {state}"))?;
            Ok((id, Hold::found(state, overdue)))
        })
        .collect()
}

/// Writes what the holds have become, and posts the difference to their stock rows, aggregated per row and
/// locked in the order of the key. Nothing is sent when nothing moved.
pub(crate) async fn save_moved(tx: &mut PgConnection, holds: &HashMap<Uuid, Hold>) -> anyhow::Result<()> {
    let moved: Vec<_> = holds.iter().filter_map(|(id, hold)| Some((*id, hold.state(), hold.posting()?))).collect();
    if moved.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r"
        with move as (
            select * from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::int[])
                as t (id, state, on_hand, held, allocated)
        ), moved as (
            update hold h set state = m.state, expires_at = null, changed_at = now()
            from move m
            where h.id = m.id
            returning h.account_id, h.livemode, h.skus, h.warehouse_ids, h.quantities, m.on_hand, m.held, m.allocated
        ), posting as (
            select m.account_id, m.livemode, l.sku, l.warehouse_id, sum(l.quantity * m.on_hand)::bigint as on_hand,
                   sum(l.quantity * m.held)::bigint as held, sum(l.quantity * m.allocated)::bigint as allocated
            from moved m
            cross join lateral unnest(m.skus, m.warehouse_ids, m.quantities) as l (sku, warehouse_id, quantity)
            where (m.on_hand, m.held, m.allocated) <> (0, 0, 0)
            group by m.account_id, m.livemode, l.sku, l.warehouse_id
        ), locked as (
            select s.account_id, s.livemode, s.sku, s.warehouse_id, p.on_hand, p.held, p.allocated
            from posting p
            join stock s using (account_id, livemode, sku, warehouse_id)
            order by s.account_id, s.livemode, s.sku, s.warehouse_id
            for update of s
        )
        update stock s
        set on_hand = s.on_hand + l.on_hand, held = s.held + l.held, allocated = s.allocated + l.allocated
        from locked l
        where s.account_id = l.account_id and s.livemode = l.livemode
          and s.sku = l.sku and s.warehouse_id = l.warehouse_id
        ",
    )
    .bind(moved.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind(moved.iter().map(|(_, state, _)| state.as_str()).collect::<Vec<_>>())
    .bind(moved.iter().map(|(.., counts)| counts.on_hand).collect::<Vec<_>>())
    .bind(moved.iter().map(|(.., counts)| counts.held).collect::<Vec<_>>())
    .bind(moved.iter().map(|(.., counts)| counts.allocated).collect::<Vec<_>>())
    .execute(tx)
    .await
    .context("moving holds and their stock")?;
    Ok(())
}
