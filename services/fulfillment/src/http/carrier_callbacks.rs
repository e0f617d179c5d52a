//! `POST /v1/carrier/callbacks`: the carrier says that shipments are on their way.
//!
//! Signed instead of authenticated by a key, and without an Idempotency-Key: a shipment ships once, however often,
//! late or out of order the carrier says so. Fields that the carrier adds one day are ignored, as with any message.

use std::collections::HashMap;

use anyhow::Context;
use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use makegood_chassis::{callback_signature::CallbackKey, extract::body, http::HttpContext, problem::Problem};
use makegood_contracts::{
    account::Account,
    fulfillment::{SHIPMENT_SHIPPED, ShipmentShipped},
    id::ShipmentId,
    plain_text::is_plain_text,
};
use makegood_messaging::event_log::{self, NewEvent};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::shipment::{State as ShipmentState, Step};

/// What one transaction takes.
const EVENTS_MAX: usize = 500;
/// As long as any carrier's own ids and numbers.
const TEXT_LENGTH_MAX: usize = 255;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct CarrierCallback {
    /// 1 to 500.
    events: Vec<CarrierEvent>,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub(crate) struct CarrierEvent {
    /// The carrier's own id of it, kept with the shipment.
    pub(crate) event_id: String,
    #[schema(value_type = String, example = "shp_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    pub(crate) shipment_id: ShipmentId,
    pub(crate) status: CarrierStatus,
    pub(crate) tracking_number: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) occurred_at: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CarrierStatus {
    Shipped,
}

#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Applied {
    /// Shipments that have shipped by this callback; what was known before is not counted.
    pub(crate) shipped: usize,
}

/// Takes what the carrier tells of its shipments.
#[utoipa::path(
    operation_id = "receive_carrier_callback", post, path = "/v1/carrier/callbacks", tag = "fulfillment", request_body = CarrierCallback, security(()),
    params(("Carrier-Signature" = String, Header, description = "t=<unix seconds>,v1=<hex HMAC-SHA256 of t.body>")),
    responses(
        (status = 200, body = Applied),
        (status = 401, description = "The signature is wrong or too old"),
        (status = 404, description = "Some shipments are not known (yet): send those again; the others were applied"),
        (status = 422, description = "Something in it cannot be used; nothing was applied")
    )
)]
pub(crate) async fn handle(State(http): State<HttpContext>, request: Request) -> Result<axum::Json<Applied>, Problem> {
    let (parts, raw) = request.into_parts();
    let raw = body::read(raw).await?;
    let signature = parts.headers.get("carrier-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    CallbackKey::shared_with("carrier", &http.secret).verify(signature, &raw, http.clock.now()).map_err(|error| {
        Problem::new(StatusCode::UNAUTHORIZED, "invalid-signature", "Invalid signature", error.to_string())
    })?;
    let callback: CarrierCallback = body::parse(&raw)?;
    validate(&callback.events)?;
    // On a task of its own: a carrier that hangs up must not cut the transaction in the middle.
    let work = tokio::spawn(async move { apply(&http.db, &callback.events).await });
    work.await.context("applying a carrier's callback")?.map(axum::Json)
}

fn validate(events: &[CarrierEvent]) -> Result<(), Problem> {
    if !(1..=EVENTS_MAX).contains(&events.len()) {
        return Err(Problem::invalid("/events", format!("Between 1 and {EVENTS_MAX} events can be sent at once.")));
    }
    for (index, event) in events.iter().enumerate() {
        for (field, text) in [("event_id", &event.event_id), ("tracking_number", &event.tracking_number)] {
            if !is_plain_text(text, TEXT_LENGTH_MAX) {
                let detail =
                    format!("It must have 1 to {TEXT_LENGTH_MAX} characters, none of them a control character.");
                return Err(Problem::invalid(&format!("/events/{index}/{field}"), detail));
            }
        }
        if event.occurred_at.checked_to_offset(UtcOffset::UTC).is_none_or(|at| at.year() < 1) {
            let detail = "In UTC it must lie in the years 1 to 9999.".to_owned();
            return Err(Problem::invalid(&format!("/events/{index}/occurred_at"), detail));
        }
    }
    Ok(())
}

/// Applies what concerns known shipments, in one transaction with the events that tell it on, and then says which are
/// not known.
pub(crate) async fn apply(db: &PgPool, events: &[CarrierEvent]) -> Result<Applied, Problem> {
    // The first event of a shipment counts: a later one in the same callback is a duplicate of it.
    let mut first: HashMap<Uuid, &CarrierEvent> = HashMap::new();
    for event in events {
        first.entry(event.shipment_id.uuid()).or_insert(event);
    }
    let mut tx = db.begin().await?;
    let known = lock(&mut tx, &first.keys().copied().collect::<Vec<_>>()).await?;
    let shipping: Vec<&CarrierEvent> = known
        .iter()
        .map(|(id, state)| (first[id], *state))
        .filter(|(event, state)| ships(event, *state))
        .map(|(event, _)| event)
        .collect();
    ship(&mut tx, &shipping).await?;
    tx.commit().await?;
    for (id, _) in known {
        first.remove(&id);
    }
    if first.is_empty() {
        return Ok(Applied { shipped: shipping.len() });
    }
    let unknown: Vec<String> = first.values().map(|event| event.shipment_id.to_string()).collect();
    Err(Problem::not_found("shipment", unknown.join(", ")).with("unknown_shipments", unknown))
}

/// Whether the event changes anything. A contradiction is nothing that the carrier could mend, so it is logged for
/// people and not refused.
fn ships(event: &CarrierEvent, state: ShipmentState) -> bool {
    let step = match event.status {
        CarrierStatus::Shipped => state.ship(),
    };
    match step {
        Step::Move(_) => true,
        Step::Already => false,
        Step::Illegal => {
            let state = state.as_str();
            tracing::error!(shipment.id = %event.shipment_id, state, "the carrier shipped what it never should");
            false
        }
    }
}

async fn lock(tx: &mut PgConnection, ids: &[Uuid]) -> anyhow::Result<Vec<(Uuid, ShipmentState)>> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        r"
        select id, state from shipment
        where id = any($1)
        order by id
        for update
        ",
    )
    .bind(ids)
    .fetch_all(tx)
    .await
    .context("locking shipments")?;
    rows.into_iter()
        .map(|(id, state)| {
            let state = ShipmentState::parse(&state)
                .with_context(|| format!("shipment {id} is in the unknown state {state}"))?;
            Ok((id, state))
        })
        .collect()
}

/// Writes what the carrier said, and the events that tell it to the rest of the world.
async fn ship(tx: &mut PgConnection, shipping: &[&CarrierEvent]) -> anyhow::Result<()> {
    if shipping.is_empty() {
        return Ok(());
    }
    let shipped: Vec<(Uuid, Uuid, bool, Uuid, i64, String)> = sqlx::query_as(
        r"
        update shipment s
        set state = 'shipped', tracking_number = t.tracking_number, carrier_event_id = t.event_id,
            shipped_at = t.occurred_at, handover_due_at = null, carrier_refusal = null, version = s.version + 1, changed_at = now()
        from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
            as t (id, tracking_number, event_id, occurred_at)
        where s.id = t.id
        returning s.id, s.account_id, s.livemode, s.order_id, s.version, s.tracking_number
        ",
    )
    .bind(shipping.iter().map(|event| event.shipment_id.uuid()).collect::<Vec<_>>())
    .bind(shipping.iter().map(|event| event.tracking_number.as_str()).collect::<Vec<_>>())
    .bind(shipping.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>())
    .bind(shipping.iter().map(|event| event.occurred_at).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await
    .context("marking shipments as shipped")?;
    let told = |(shipment_id, account_id, livemode, order_id, version, tracking_number)| {
        Ok(NewEvent {
            name: SHIPMENT_SHIPPED,
            account: Account { id: account_id, livemode },
            subject: Uuid::to_string(&shipment_id),
            version,
            data: serde_json::to_value(ShipmentShipped { shipment_id, order_id, tracking_number })?,
        })
    };
    let events = shipped.into_iter().map(told).collect::<anyhow::Result<Vec<_>>>()?;
    event_log::record(tx, &events).await.context("recording shipped shipments")?;
    Ok(())
}

#[cfg(test)]
mod tests;
