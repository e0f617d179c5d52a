//! Connections kept at hand between the batches of a hot loop.
//!
//! The pool asks the server whether a connection that comes back is still well: a round trip for every batch. One that has
//! just served without an error is well, so the loop keeps it, for a while.

use std::{cell::RefCell, time::Duration};

use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::time::Instant;

/// Most at once; the rest of the pool serves sweepers and whoever else works in the role.
const MAX_KEPT: usize = 3;
/// Then it goes back to the pool, whose own limits on a connection's age are for all.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Of one role, on its one thread.
#[derive(Debug)]
pub struct AtHand {
    db: PgPool,
    kept: RefCell<Vec<Connection>>,
}

/// Dropped, it goes back to the pool; kept, it serves the next batch.
#[derive(Debug)]
pub struct Connection {
    connection: PoolConnection<Postgres>,
    taken_at: Instant,
}

impl AtHand {
    pub fn new(db: PgPool) -> Self {
        Self { db, kept: RefCell::default() }
    }

    /// One that is at hand, or else one of the pool.
    pub async fn take(&self) -> Result<Connection, sqlx::Error> {
        let kept = self.kept.borrow_mut().pop();
        match kept.filter(|kept| kept.taken_at.elapsed() < KEPT_FOR) {
            Some(kept) => Ok(kept),
            None => Ok(Connection { connection: self.db.acquire().await?, taken_at: Instant::now() }),
        }
    }

    /// For a connection that has done its work without an error and is in no transaction.
    pub fn keep(&self, connection: Connection) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() < MAX_KEPT {
            kept.push(connection);
        }
    }
}

impl std::ops::Deref for Connection {
    type Target = sqlx::PgConnection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl std::ops::DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}
