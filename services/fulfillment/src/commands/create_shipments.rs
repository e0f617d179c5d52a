//! Plans an order's shipments, one per warehouse. Nothing leaves before they are released.

use anyhow::Context;
use makegood_contracts::{
    fulfillment::{CreateShipments, CreatedShipments},
    reply::Outcome,
};
use makegood_messaging::participant::Job;
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::shipment::{parcels, shipment_id};

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<CreateShipments>]) -> anyhow::Result<Vec<Outcome>> {
    let shipments: Vec<NewShipment<'_>> = jobs.iter().flat_map(shipments_of).collect();
    insert(tx, &shipments).await?;
    jobs.iter().map(outcome).collect()
}

struct NewShipment<'a> {
    id: Uuid,
    job: &'a Job<CreateShipments>,
    warehouse: &'a str,
    lines: Vec<NewLine<'a>>,
}

/// A line as the table keeps it.
#[derive(Serialize)]
struct NewLine<'a> {
    sku: &'a str,
    quantity: i64,
}

fn shipments_of(job: &Job<CreateShipments>) -> impl Iterator<Item = NewShipment<'_>> {
    // Where no step has allocated anything no parcel is planned, and `outcome` answers with the defect.
    parcels(job.input.allocated().unwrap_or_default()).into_iter().map(move |(warehouse, lines)| {
        let id = shipment_id(job.key.saga_id, warehouse);
        let lines = lines.into_iter().map(|(sku, quantity)| NewLine { sku, quantity }).collect();
        NewShipment { id, job, warehouse, lines }
    })
}

fn outcome(job: &Job<CreateShipments>) -> anyhow::Result<Outcome> {
    if job.input.allocated().is_none() {
        return Ok(Outcome::defect("Nothing is allocated to the order: there is nothing to ship."));
    }
    let created = CreatedShipments { shipment_ids: shipments_of(job).map(|shipment| shipment.id).collect() };
    Ok(Outcome::Done { output: serde_json::to_value(created)? })
}

/// Writes shipments. One that exists stays as it is: the command came twice, and the barrier will say so.
async fn insert(tx: &mut PgConnection, shipments: &[NewShipment<'_>]) -> anyhow::Result<()> {
    sqlx::query(
        r"
        insert into shipment (id, saga_id, order_id, account_id, livemode, warehouse, shipping_method, address, lines)
        select *
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bool[], $6::text[], $7::text[], $8::jsonb[], $9::jsonb[])
            as t (id, saga_id, order_id, account_id, livemode, warehouse, shipping_method, address, lines)
        order by id
        on conflict do nothing
        ",
    )
    .bind(shipments.iter().map(|shipment| shipment.id).collect::<Vec<_>>())
    .bind(shipments.iter().map(|shipment| shipment.job.key.saga_id).collect::<Vec<_>>())
    .bind(shipments.iter().map(|shipment| shipment.job.input.order_id).collect::<Vec<_>>())
    .bind(shipments.iter().map(|shipment| shipment.job.input.account.id).collect::<Vec<_>>())
    .bind(shipments.iter().map(|shipment| shipment.job.input.account.livemode).collect::<Vec<_>>())
    .bind(shipments.iter().map(|shipment| shipment.warehouse).collect::<Vec<_>>())
    .bind(shipments.iter().map(|shipment| shipment.job.input.shipping_method.as_str()).collect::<Vec<_>>())
    .bind(shipments.iter().map(|shipment| Json(&shipment.job.input.shipping_address)).collect::<Vec<_>>())
    .bind(shipments.iter().map(|shipment| Json(&shipment.lines)).collect::<Vec<_>>())
    .execute(tx)
    .await
    .context("writing shipments")?;
    Ok(())
}
