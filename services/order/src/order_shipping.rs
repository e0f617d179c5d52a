//! Applies `shipment.shipped`: the order learns that a part of it, or the rest of it, has left.
//!
//! Events come twice and out of order; a shipment that the order knows already changes nothing.

use std::collections::BTreeMap;

use anyhow::Context as _;
use makegood_contracts::{event::Event, fulfillment::ShipmentShipped, order::ORDER_SHIPPED};
use makegood_messaging::event_log;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::order_state::{LeftShipment, OrderState, order_state_columns};

/// Applies a batch in the caller's transaction.
pub(crate) async fn apply(tx: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
    let mut left: BTreeMap<Uuid, Vec<(Event, LeftShipment)>> = BTreeMap::new();
    for event in events {
        let shipped: ShipmentShipped = serde_json::from_value(event.data.clone())
            .with_context(|| format!("reading event {} of {}", event.name, event.subject))?;
        let shipment = LeftShipment { id: shipped.shipment_id, tracking_number: shipped.tracking_number };
        left.entry(shipped.order_id).or_default().push((event.clone(), shipment));
    }
    let orders = lock_orders(tx, left.keys().copied().collect()).await.context("locking shipped orders")?;
    let mut changed = Vec::new();
    let mut told = Vec::new();
    for mut order in orders {
        let before = order.version;
        for (event, shipment) in left.remove(&order.id).unwrap_or_default() {
            // Another shop's event never touches this order, whatever it says.
            let own = event.account.id == order.account_id && event.account.livemode == order.livemode;
            if !own || order.shipments.iter().any(|known| known.id == shipment.id) {
                continue;
            }
            order.shipments.push(shipment);
            order.fulfillment_status = order.fulfillment().to_owned();
            order.version += 1;
            told.push(order.changed(ORDER_SHIPPED, None)?);
        }
        if order.version > before {
            changed.push(order);
        }
    }
    for order in left.keys() {
        tracing::warn!(order = %order, "a shipment left for an order that is not here");
    }
    write_back(tx, &changed).await.context("writing shipped orders")?;
    event_log::record(tx, &told).await.context("recording shipped orders")?;
    Ok(())
}

async fn lock_orders(tx: &mut PgConnection, ids: Vec<Uuid>) -> Result<Vec<OrderState>, sqlx::Error> {
    sqlx::query_as(concat!("select ", order_state_columns!(), " from orders where id = any($1) order by id for update"))
        .bind(ids)
        .fetch_all(tx)
        .await
}

async fn write_back(tx: &mut PgConnection, changed: &[OrderState]) -> Result<(), sqlx::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r#"
        update orders
        set shipments = changed.shipments, fulfillment_status = changed.fulfillment_status, version = changed.version,
            last_shipped_at = now()
        from unnest($1::uuid[], $2::jsonb[], $3::text[], $4::bigint[]) as changed (id, shipments, fulfillment_status, version)
        where orders.id = changed.id
        "#,
    )
    .bind(changed.iter().map(|order| order.id).collect::<Vec<_>>())
    .bind(changed.iter().map(|order| Json(&order.shipments.0)).collect::<Vec<_>>())
    .bind(changed.iter().map(|order| order.fulfillment_status.as_str()).collect::<Vec<_>>())
    .bind(changed.iter().map(|order| order.version).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
