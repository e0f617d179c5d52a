//! Partitions ahead of time, and the end of old ones: keys are forgotten a day at a time.

use std::time::Duration;

use sqlx::PgPool;

use crate::shutdown::Shutdown;

/// Partitions are made two days ahead, so that many rounds may fail before one is missed.
const ROUND_EVERY: Duration = Duration::from_secs(3600);
/// After a round that failed, as it does while somebody reads a table for long.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Whoever comes after us waits as long as we wait for a table, so we wait no longer than nobody notices.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '100ms'";
/// Replicas do not roll at once; the number means nothing.
const ROLLING: i64 = 0x726f_6c6c;

/// Rolls the partitions of keys, and of tables by day of their UUIDv7, until shutdown.
pub async fn keep_partitions(db: PgPool, shutdown: Shutdown) {
    loop {
        let pause = match roll(&db).await {
            Ok(()) => ROUND_EVERY,
            Err(error) => {
                tracing::warn!(%error, "the partitions were not rolled; trying again in a minute");
                TRY_AGAIN_AFTER
            }
        };
        if !shutdown.pause(pause).await {
            return;
        }
    }
}

/// What a round does, each by itself: what cannot be dropped today must not keep tomorrow from being made.
const STEPS: [&str; 3] = [
    "select make_key_partitions()",
    // Whatever is partitioned by a UUIDv7: the barrier everywhere, the log of sagas at the orchestrator.
    "select make_day_partitions(c.relname, 1, 7)
     from pg_partitioned_table p
     join pg_class c on c.oid = p.partrelid
     join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
     where p.partstrat = 'r' and a.atttypid = 'uuid'::regtype",
    "select drop_key_partitions()",
];

/// One round: makes what is missing and drops what is past. Doing it twice does nothing. Says the first of what went wrong.
async fn roll(db: &PgPool) -> Result<(), sqlx::Error> {
    let mut rolled = Ok(());
    for step in STEPS {
        rolled = rolled.and(roll_step(db, step).await);
    }
    rolled
}

async fn roll_step(db: &PgPool, step: &'static str) -> Result<(), sqlx::Error> {
    let mut tx = db.begin().await?;
    sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await?;
    let is_first: bool =
        sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(ROLLING).fetch_one(&mut *tx).await?;
    if is_first {
        sqlx::query(step).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_database::TestDatabase;

    async fn days(db: &PgPool, parent: &str) -> Vec<String> {
        sqlx::query_scalar("select inhrelid::regclass::text from pg_inherits where inhparent = $1::regclass order by 1")
            .bind(parent)
            .fetch_all(db)
            .await
            .expect("lists")
    }

    /// As long after the migration as it takes for every day that it made to be gone.
    async fn make_them_all_past(test: &TestDatabase) {
        let mut owner = test.owner().await;
        for child in ["idempotency_key", "barrier"] {
            for day in days(&test.db, child).await.into_iter().filter(|day| !day.ends_with("_other")) {
                let drop = format!("drop table {day}");
                sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&mut owner).await.expect("drops");
            }
        }
        sqlx::query(
            r"create table idempotency_key_20200101 partition of idempotency_key
              for values from ('2020-01-01') to ('2020-01-02')",
        )
        .execute(&mut owner)
        .await
        .expect("a day that is past");
    }

    #[tokio::test]
    async fn days_are_made_before_they_come_and_keys_of_old_ones_go() {
        let test = TestDatabase::create().await;
        let at_first = (days(&test.db, "idempotency_key").await, days(&test.db, "barrier").await);
        make_them_all_past(&test).await;
        let (one, other) = tokio::join!(roll(&test.db), roll(&test.db));
        one.and(other).expect("replicas roll at once");
        assert_eq!((days(&test.db, "idempotency_key").await, days(&test.db, "barrier").await), at_first);
        test.remove().await;
    }

    #[tokio::test]
    async fn a_day_whose_rows_came_too_early_keeps_no_other_from_being_made() {
        let test = TestDatabase::create().await;
        let at_first = days(&test.db, "barrier").await;
        make_them_all_past(&test).await;
        sqlx::query(
            r"insert into barrier (saga_id, step, direction, outcome)
              values (uuidv7_floor(now() + interval '3 days'), 'pay', 'do', '{}')",
        )
        .execute(&test.db)
        .await
        .expect("lies among what has no day");
        roll(&test.db).await.expect("rolls");
        assert_eq!(days(&test.db, "barrier").await.len(), at_first.len() - 1);
        test.remove().await;
    }

    #[tokio::test]
    async fn a_long_reader_keeps_nobody_waiting_but_us_and_no_day_from_being_made() {
        let test = TestDatabase::create().await;
        make_them_all_past(&test).await;
        let at_first = days(&test.db, "idempotency_key").await;
        let mut reader = test.db.begin().await.expect("begins");
        sqlx::query("select count(*) from idempotency_key").execute(&mut *reader).await.expect("reads");
        let begun = tokio::time::Instant::now();
        let refused = roll(&test.db).await.expect_err("the reader is there");
        assert!(refused.to_string().contains("lock timeout"), "{refused}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let made = days(&test.db, "idempotency_key").await;
        assert!(
            made.len() > at_first.len() && made.contains(&at_first[0]),
            "the old day stays, new ones come: {made:?}"
        );
        drop(reader);
        roll(&test.db).await.expect("the reader is gone");
        assert!(!days(&test.db, "idempotency_key").await.contains(&at_first[0]));
        test.remove().await;
    }
}
