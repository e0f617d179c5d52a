//! Load is shed, not queued for ever: while more checkouts wait for their sagas to hear of them than can begin within seconds, no new one is
//! accepted.
//!
//! Accepting needs the database alone, so it would go on while NATS or the orchestrator is away. All that was accepted meanwhile would begin at once
//! afterwards, wait in one another's way until its steps had used up their attempts, and be undone: buyers told yes would hear no.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use makegood_chassis::shutdown::Shutdown;
use sqlx::PgPool;

/// In between, no more come than one process accepts in half a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whether checkouts are turned away; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backlog(Arc<AtomicBool>);

impl Backlog {
    /// Looks until shutdown. `most` wait before no more are accepted, by whatever process.
    pub(crate) fn watch(db: PgPool, most: u32, shutdown: Shutdown) -> Self {
        let backlog = Self::default();
        tokio::spawn(backlog.clone().keep_looking(db, most, shutdown));
        backlog
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    async fn keep_looking(self, db: PgPool, most: u32, shutdown: Shutdown) {
        while shutdown.pause(LOOK_EVERY).await {
            match is_full(&db, most).await {
                Ok(is_full) if is_full != self.0.swap(is_full, Ordering::Relaxed) => match is_full {
                    true => tracing::error!(most, "too many checkouts wait for their sagas: no more are accepted"),
                    false => tracing::info!("checkouts are accepted again"),
                },
                Ok(_) => {}
                // What is known stays: without the database nothing is accepted anyway.
                Err(error) => tracing::warn!(%error, "the checkouts that wait for their sagas could not be counted"),
            }
        }
    }
}

/// Whether so many checkouts have something to tell their sagas that these do not know yet.
async fn is_full(db: &PgPool, most: u32) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*) >= $1 from (select from checkout where resend_at is not null limit $1) as untold",
    )
    .bind(i64::from(most))
    .fetch_one(db)
    .await
}

#[cfg(test)]
mod tests {
    use makegood_testing::TestDatabase;

    use super::*;
    use crate::{MIGRATOR, commands::tests::open, invariants::INVARIANTS, test_checkout::accepted};

    #[tokio::test]
    async fn it_is_full_of_checkouts_whose_sagas_know_nothing_of_them() {
        let database = TestDatabase::create("order", &MIGRATOR).await;
        let db = &database.db;
        let first = accepted(db, "k1", Some("pm_card_visa")).await;
        assert!(!is_full(db, 2).await.expect("counts"));
        accepted(db, "k2", None).await;
        assert!(is_full(db, 2).await.expect("counts"));
        open(db, &[first]).await;
        assert!(!is_full(db, 2).await.expect("counts"), "one saga has shown that it knows");
        database.verify_and_drop(INVARIANTS).await;
    }
}
