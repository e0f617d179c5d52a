//! Undoes `create_shipments`. What the carrier has cannot be called back by an undo: that is a return.

use makegood_contracts::{fulfillment::OwnShipments, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

use crate::shipment::State;

pub(crate) async fn handle(tx: &mut PgConnection, jobs: &[Job<OwnShipments>]) -> anyhow::Result<Vec<Outcome>> {
    super::move_all(tx, jobs, State::Cancelled, State::cancel, 0).await
}
