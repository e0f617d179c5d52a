//! Shipments in the database, as the commands share them.

use anyhow::Context;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::shipment::State;

/// A shipment whose row is locked by this transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockedShipment {
    pub(crate) id: Uuid,
    pub(crate) saga_id: Uuid,
    pub(crate) state: State,
    /// The carrier was told of it, or is being told.
    pub(crate) was_offered: bool,
}

/// Locks all shipments of these sagas, in the order of their ids.
pub(crate) async fn lock_shipments(tx: &mut PgConnection, saga_ids: &[Uuid]) -> anyhow::Result<Vec<LockedShipment>> {
    let rows: Vec<(Uuid, Uuid, String, bool)> = sqlx::query_as(
        r"
        select id, saga_id, state, offered_at is not null from shipment
        where saga_id = any($1)
        order by id
        for update
        ",
    )
    .bind(saga_ids)
    .fetch_all(tx)
    .await
    .context("locking shipments")?;
    rows.into_iter()
        .map(|(id, saga_id, state, was_offered)| {
            let state =
                State::parse(&state).with_context(|| format!("shipment {id} is in the unknown state {state}"))?;
            Ok(LockedShipment { id, saga_id, state, was_offered })
        })
        .collect()
}

/// Moves locked shipments; a released one is due for the carrier after the delay. Nothing is sent when nothing moves.
pub(crate) async fn move_shipments(
    tx: &mut PgConnection,
    ids: &[Uuid],
    to: State,
    handover_delay_seconds: u32,
) -> anyhow::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r"
        update shipment
        set state = $2, version = version + 1, changed_at = now(),
            carrier_refusal = null, handover_due_at = case when $2 = 'released' then now() + make_interval(secs => $3) end
        where id = any($1)
        ",
    )
    .bind(ids)
    .bind(to.as_str())
    .bind(f64::from(handover_delay_seconds))
    .execute(tx)
    .await
    .context("moving shipments")?;
    Ok(())
}
