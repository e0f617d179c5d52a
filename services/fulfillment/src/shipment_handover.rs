//! Hands released shipments to the carrier, and asks again for those that it never said a word about.
//!
//! Claim, call, mark: the claim is a lease in the row, so no transaction is open while the carrier thinks, and a
//! process that dies in the middle leaves nothing behind but a lease that ends. The carrier knows a shipment by its id,
//! so offering one twice is harmless and makes it repeat its callback.

use std::time::Duration;

use anyhow::Context;
use makegood_contracts::id::ShipmentId;
use makegood_messaging::worker::Worker;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    carrier::{Answer, Carrier, OfferedShipment},
    config::Config,
};

/// What the carrier takes in one call.
const OFFER_MAX: i64 = 200;

/// For so long nobody else offers what this process has claimed: a full batch that must be offered one by one fits.
const LEASE_SECONDS: f64 = 60.0;

/// A carrier that accepted a shipment and has said nothing since is asked again after this: its callback got lost.
const SILENCE_SECONDS: f64 = 600.0;

/// Between two looks at an empty queue. One probe of a small index, so it costs nothing, and a parcel does not wait.
const NAP: Duration = Duration::from_millis(250);

/// After a round that failed. The failed batch itself waits for the end of its lease.
const NAP_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Hands over until shutdown; without a carrier, released shipments stay where they are.
pub(crate) async fn run(worker: Worker, config: &Config) -> anyhow::Result<()> {
    let Some(carrier) = Carrier::from_config(config)? else {
        tracing::info!("no carrier is configured: released shipments wait");
        return Ok(());
    };
    while !worker.shutdown.token.is_cancelled() {
        let nap = match hand_over_due(&worker.db, &carrier).await {
            Ok(claimed) if claimed >= OFFER_MAX as usize => Duration::ZERO,
            Ok(_) => NAP,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "shipments could not be handed over; trying again");
                NAP_AFTER_FAILURE
            }
        };
        tokio::select! {
            () = worker.shutdown.token.cancelled() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
    Ok(())
}

/// One round: claims a batch, offers it, marks what was accepted. Returns how many it claimed.
pub(crate) async fn hand_over_due(db: &PgPool, carrier: &Carrier) -> anyhow::Result<usize> {
    let shipments = claim_due(db).await?;
    if shipments.is_empty() {
        return Ok(0);
    }
    match carrier.offer(&shipments).await? {
        Answer::Accepted => mark_handed_over(db, &shipments).await?,
        Answer::Refused(_) => hand_over_one_by_one(db, carrier, &shipments).await?,
    }
    Ok(shipments.len())
}

/// Something in the batch is not to the carrier's liking: the others must not wait for it.
async fn hand_over_one_by_one(db: &PgPool, carrier: &Carrier, shipments: &[OfferedShipment]) -> anyhow::Result<()> {
    for shipment in shipments {
        let alone = std::slice::from_ref(shipment);
        match carrier.offer(alone).await? {
            Answer::Accepted => mark_handed_over(db, alone).await?,
            Answer::Refused(reason) => {
                tracing::error!(shipment.id = %shipment.id, reason, "the carrier refuses a shipment");
                put_off(db, shipment).await?;
            }
        }
    }
    Ok(())
}

/// Leases what is due. Rows that somebody has locked are being decided or claimed by others.
async fn claim_due(db: &PgPool) -> anyhow::Result<Vec<OfferedShipment>> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        r"
        with due as (
            select id from shipment
            where handover_due_at <= now()
            order by handover_due_at
            limit $1
            for update skip locked
        )
        update shipment s
        set handover_due_at = now() + make_interval(secs => $2), offered_at = coalesce(s.offered_at, now())
        from due
        where s.id = due.id
        returning s.id, s.shipping_method
        ",
    )
    .bind(OFFER_MAX)
    .bind(LEASE_SECONDS)
    .fetch_all(db)
    .await
    .context("claiming released shipments")?;
    Ok(rows
        .into_iter()
        .map(|(id, shipping_method)| OfferedShipment { id: ShipmentId::from_uuid(id), shipping_method })
        .collect())
}

/// The carrier has them. Those whose callback was quicker than this are left alone.
async fn mark_handed_over(db: &PgPool, shipments: &[OfferedShipment]) -> anyhow::Result<()> {
    sqlx::query(
        r"
        with accepted as (
            select id from shipment
            where id = any($1) and state = 'released'
            order by id
            for update
        )
        update shipment s
        set handed_over_at = now(), handover_due_at = now() + make_interval(secs => $2)
        from accepted
        where s.id = accepted.id and s.state = 'released'
        ",
    )
    .bind(shipments.iter().map(|shipment| shipment.id.uuid()).collect::<Vec<_>>())
    .bind(SILENCE_SECONDS)
    .execute(db)
    .await
    .context("marking shipments as handed over")?;
    Ok(())
}

/// A refused shipment does not come back before everything else had its turn.
async fn put_off(db: &PgPool, shipment: &OfferedShipment) -> anyhow::Result<()> {
    sqlx::query(
        r"
        update shipment set handover_due_at = now() + make_interval(secs => $2)
        where id = $1 and state = 'released'
        ",
    )
    .bind(shipment.id.uuid())
    .bind(SILENCE_SECONDS)
    .execute(db)
    .await
    .context("putting a refused shipment off")?;
    Ok(())
}

#[cfg(test)]
mod tests;
