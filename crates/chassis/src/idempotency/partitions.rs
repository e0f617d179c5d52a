//! Partitions ahead of time, and the end of old ones: keys are forgotten a day at a time.

use std::time::Duration;

use sqlx::PgPool;

use crate::shutdown::Shutdown;

/// Partitions are made two days ahead, so that many rounds may fail before one is missed.
const ROUND_EVERY: Duration = Duration::from_secs(3600);

/// Rolls the partitions of keys, and of tables by day of their UUIDv7, until shutdown.
pub async fn keep_partitions(db: PgPool, shutdown: Shutdown) {
    loop {
        if let Err(error) = roll(&db).await {
            tracing::error!(%error, "the partitions were not rolled; the next round tries again");
        }
        if !shutdown.pause(ROUND_EVERY).await {
            return;
        }
    }
}

/// One round: makes what is missing and drops what is past. Doing it twice does nothing.
async fn roll(db: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("select make_key_partitions()").execute(db).await?;
    // Whatever is partitioned by a UUIDv7: the barrier everywhere, the log of sagas at the orchestrator.
    sqlx::query(
        r"select make_day_partitions(c.relname, 1, 7)
          from pg_partitioned_table p
          join pg_class c on c.oid = p.partrelid
          join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
          where p.partstrat = 'r' and a.atttypid = 'uuid'::regtype",
    )
    .execute(db)
    .await?;
    Ok(())
}
