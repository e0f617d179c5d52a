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

impl Worker {
    /// Whether NATS answers now ([`Bus::answers`]). Not once shutdown has begun: nobody waits for a server that hangs then.
    pub async fn bus_answers(&self) -> bool {
        let answers = self.shutdown.token.run_until_cancelled(self.bus.answers()).await;
        // None: shutdown came first.
        answers.unwrap_or(false)
    }
}
