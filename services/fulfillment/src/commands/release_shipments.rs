//! Lets a paid order's shipments go: from here on the hand-over offers them to the carrier until it has them.

use makegood_contracts::{fulfillment::OwnShipments, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

use crate::shipment::State;

pub(crate) async fn handle(
    tx: &mut PgConnection,
    jobs: &[Job<OwnShipments>],
    handover_delay_seconds: u32,
) -> anyhow::Result<Vec<Outcome>> {
    super::move_all(tx, jobs, State::Released, State::release, handover_delay_seconds).await
}
