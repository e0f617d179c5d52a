//! A log that was restored into another server, by `pg_dump` or logical replication. Its positions are transaction ids of the server
//! before: ahead of the new server's own, so that what happens now would sort behind them and never be told.

use sqlx::PgPool;

/// Rows of one statement: far within a statement's time, also on a slow disk.
const PART: i64 = 10_000;

/// Puts events of another server's transactions before everything that happens here, in the order of their ids, and the relay before them:
/// what it had told there means nothing here.
///
/// A row that can be seen was committed, by a transaction below the snapshot's end, unless it was written elsewhere.
pub(super) async fn adopt(db: &PgPool) -> Result<(), sqlx::Error> {
    let mut adopted = 0;
    loop {
        let part: i64 = sqlx::query_scalar(
            r"with adopted as (
                  update event_log set written_by = '0'
                  where id in (
                      select id from event_log where written_by >= pg_snapshot_xmax(pg_current_snapshot())
                      order by event_log.written_by, event_log.id limit $1)
                    and written_by >= pg_snapshot_xmax(pg_current_snapshot())
                  returning 1),
              begun_anew as (
                  update event_relay set written_by = '0', id = '00000000-0000-0000-0000-000000000000'
                  where exists (select from adopted))
              select count(*) from adopted",
        )
        .bind(PART)
        .fetch_one(db)
        .await?;
        if part == 0 {
            return Ok(());
        }
        adopted += part;
        tracing::warn!(
            adopted,
            "the log was restored from another server: its events are put before those of this one"
        );
    }
}
