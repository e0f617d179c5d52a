//! What a role's background work is given.

use makegood_chassis::{clock::DbClock, shutdown::Shutdown};
use sqlx::PgPool;

use crate::bus::Bus;

/// Handed to each service's `run`; cloned into its loops.
#[derive(Debug, Clone)]
pub struct Worker {
    pub db: PgPool,
    pub bus: Bus,
    pub clock: DbClock,
    pub shutdown: Shutdown,
}
