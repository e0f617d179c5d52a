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
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    carrier::{Answer, Carrier, OfferedShipment},
    config::Config,
};

/// What the carrier takes in one call.
const OFFER_MAX: i64 = 200;

/// Of those that were offered before: each of a batch may have to be offered alone, within the lease.
const AGAIN_MAX: i64 = 20;

/// For so long nobody else offers what this process has claimed: a full batch that must be offered one by one fits.
const LEASE_SECONDS: f64 = 60.0;

/// A carrier that accepted a shipment and has said nothing since is asked again after this: its callback got lost.
const SILENCE_SECONDS: f64 = 600.0;

/// So many shipments in a row that are offered alone and not answered mean that the carrier is away, and not that they are to blame: each
/// may take the carrier's timeout of 10 s, and all of them together stay below the lease.
const MAX_UNANSWERED: u32 = 3;

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
    tokio::join!(keep_handing_over(&worker, &carrier, Queue::New), keep_handing_over(&worker, &carrier, Queue::Again));
    Ok(())
}

/// Shipments that were never offered go apart from those that were, and beside them: some of these may be refused, or not answered, for ever, and each
/// has the whole batch that it is in offered one by one. Mixed, some ninety of them would hold up a shop of five hundred orders a second.
#[derive(Debug, Clone, Copy)]
enum Queue {
    New,
    Again,
}

impl Queue {
    /// What is offered in one call.
    const fn batch_max(self) -> i64 {
        match self {
            Self::New => OFFER_MAX,
            Self::Again => AGAIN_MAX,
        }
    }
}

async fn keep_handing_over(worker: &Worker, carrier: &Carrier, queue: Queue) {
    let mut nap = Duration::ZERO;
    while worker.shutdown.pause(nap).await {
        nap = match hand_over_due(&worker.db, carrier, queue).await {
            Ok(claimed) if i64::try_from(claimed).is_ok_and(|claimed| claimed >= queue.batch_max()) => Duration::ZERO,
            Ok(_) => NAP,
            Err(error) => {
                tracing::warn!(
                    ?queue,
                    error = format!("{error:#}"),
                    "shipments could not be handed over; trying again"
                );
                NAP_AFTER_FAILURE
            }
        };
    }
}

/// One round: claims a batch, offers it, marks what was accepted. Returns how many it claimed.
async fn hand_over_due(db: &PgPool, carrier: &Carrier, queue: Queue) -> anyhow::Result<usize> {
    let claimed = claim_due(db, queue).await?;
    if claimed.is_empty() {
        return Ok(0);
    }
    let shipments: Vec<OfferedShipment> = claimed.iter().map(|claim| claim.shipment.clone()).collect();
    match carrier.offer(&shipments).await {
        Ok(Answer::Accepted) => mark_handed_over(db, &shipments).await?,
        Ok(Answer::Refused(_)) => hand_over_one_by_one(db, carrier, &claimed).await?,
        Err(error) if claimed.len() > 1 => {
            tracing::warn!(error = format!("{error:#}"), "shipments are offered one by one");
            let unsure: Vec<Claimed> =
                claimed.into_iter().map(|claim| Claimed { is_first_offer: false, ..claim }).collect();
            hand_over_one_by_one(db, carrier, &unsure).await?;
        }
        Err(error) => return Err(error),
    }
    Ok(shipments.len())
}

/// Something in the batch is not to the carrier's liking, or too much for it: the others must not wait for it. Gives up when the
/// carrier answers nothing at all, as it seems.
async fn hand_over_one_by_one(db: &PgPool, carrier: &Carrier, claimed: &[Claimed]) -> anyhow::Result<()> {
    let mut unanswered = 0;
    for claim in claimed {
        let shipment = &claim.shipment;
        match carrier.offer(std::slice::from_ref(shipment)).await {
            Ok(Answer::Accepted) => {
                unanswered = 0;
                mark_handed_over(db, std::slice::from_ref(shipment)).await?;
            }
            Ok(Answer::Refused(reason)) => {
                unanswered = 0;
                tracing::error!(shipment.id = %shipment.id, reason, "the carrier refuses a shipment");
                put_off(db, claim, Some(&reason), claim.is_first_offer).await?;
            }
            Err(error) => {
                unanswered += 1;
                // Not among those that it was claimed with the next time.
                put_off(db, claim, None, false).await?;
                if unanswered == MAX_UNANSWERED {
                    return Err(error);
                }
                tracing::warn!(shipment.id = %shipment.id, error = format!("{error:#}"), "a shipment is offered again later");
            }
        }
    }
    Ok(())
}

/// A shipment that this process may offer now.
struct Claimed {
    shipment: OfferedShipment,
    /// It was offered to nobody before, so a refusal means that the carrier has nothing of it.
    is_first_offer: bool,
    /// The end of this process's lease, by which it knows that nobody has claimed it since.
    leased_until: OffsetDateTime,
}

/// Leases what is due. Rows that somebody has locked are being decided or claimed by others.
async fn claim_due(db: &PgPool, queue: Queue) -> anyhow::Result<Vec<Claimed>> {
    let rows: Vec<(Uuid, String, bool, OffsetDateTime)> = sqlx::query_as(
        r"
        with due as (
            select id, offered_at is null as is_first_offer from shipment
            where handover_due_at <= now() and (offered_at is null and carrier_refusal is null) = $3
            order by handover_due_at
            limit $1
            for update skip locked
        )
        update shipment s
        set handover_due_at = now() + make_interval(secs => $2), offered_at = coalesce(s.offered_at, now())
        from due
        where s.id = due.id
        returning s.id, s.shipping_method, due.is_first_offer, s.handover_due_at
        ",
    )
    .bind(queue.batch_max())
    .bind(LEASE_SECONDS)
    .bind(matches!(queue, Queue::New))
    .fetch_all(db)
    .await
    .context("claiming released shipments")?;
    Ok(rows
        .into_iter()
        .map(|(id, shipping_method, is_first_offer, leased_until)| {
            let shipment = OfferedShipment { id: ShipmentId::from_uuid(id), shipping_method };
            Claimed { shipment, is_first_offer, leased_until }
        })
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
        set handed_over_at = now(), carrier_refusal = null, handover_due_at = now() + make_interval(secs => $2)
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

/// A shipment that was refused, or not answered, does not come back before everything else had its turn. One of which the carrier
/// certainly has nothing can be cancelled meanwhile, as if it had never been offered. A refusal stands until the carrier takes it, or
/// it is cancelled; of one that it took before, it means nothing. Where the lease has ended and another process has claimed it, that one
/// may be offering it at this moment, and its word counts.
async fn put_off(db: &PgPool, claim: &Claimed, refusal: Option<&str>, carrier_has_nothing: bool) -> anyhow::Result<()> {
    sqlx::query(
        r"
        update shipment
        set handover_due_at = now() + make_interval(secs => $2), carrier_refusal = case when handed_over_at is null then coalesce($4, carrier_refusal) end,
            offered_at = case when $3 and handed_over_at is null then null else offered_at end
        where id = $1 and state = 'released' and handover_due_at = $5
        ",
    )
    .bind(claim.shipment.id.uuid())
    .bind(SILENCE_SECONDS)
    .bind(carrier_has_nothing)
    .bind(refusal)
    .bind(claim.leased_until)
    .execute(db)
    .await
    .context("putting off a shipment that the carrier did not take")?;
    Ok(())
}

#[cfg(test)]
mod tests;
