//! The end of sagas that have ended: a day at a time, once all of it is past the time for which they are kept.
//!
//! First `saga_retention.kept_since` is raised and committed: from then on no saga begins whose id lies before it. Then each
//! day before it goes, log and ended sagas together, in a transaction of its own, unless a saga of that day is still live, or
//! ended too lately. Dying anywhere leaves whole days, and the next round goes on. What operators did stays in `audit`.
//!
//! Participants are told after each round before which id nothing is left, so that they may forget what they did for those sagas.

use std::{collections::HashMap, time::Duration};

use makegood_contracts::orchestrator::{SAGAS_GONE, SagasGone};
use makegood_messaging::worker::Worker;
use sqlx::PgPool;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::saga_retention::SagaRetention;

/// A day is past once a day; an hour later is early enough.
const ROUND_EVERY: Duration = Duration::from_secs(3600);
/// After a round that failed, as it does while somebody reads a table for long.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Whoever starts or moves a saga waits as long as we wait for a table, so we wait no longer than nobody notices.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '100ms'";
/// Ended sagas have no index by their end, so a day is read once from end to end before it goes: by its pages in order, which a role's connections
/// are else kept from.
const READING: [&str; 2] = ["set local statement_timeout = '15min'", "set local enable_seqscan = on"];
/// Replicas do not drop at once; the number means nothing.
const DROPPING: i64 = 0x6472_6f70;
/// Rows of bulk operations that are removed by one statement.
const CHUNK: i64 = 10_000;

/// Drops what is past until shutdown; nothing when sagas are kept for ever.
pub(crate) async fn keep_dropping(worker: Worker, retention: SagaRetention) -> anyhow::Result<()> {
    let Some(days) = retention.days() else { return Ok(()) };
    let mut dropping = SagaDropping::new(worker.db.clone(), days);
    loop {
        let pause = match dropping.round_and_note(&worker).await {
            Ok(dropped) => {
                for day in dropped {
                    tracing::info!(%day, kept.days = days, "sagas of a day that is past were dropped");
                }
                ROUND_EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "sagas that are past were not dropped; trying again in a minute");
                TRY_AGAIN_AFTER
            }
        };
        if !worker.shutdown.pause(pause).await {
            return Ok(());
        }
    }
}

/// What came of a day.
#[derive(Debug, PartialEq, Eq)]
enum Dropped {
    Yes,
    /// It was gone already, or a saga of it is live.
    No,
    /// Another replica is at it.
    ByOthers,
}

struct SagaDropping {
    db: PgPool,
    kept_days: u16,
    /// When the last saga of a day ended: final once the day is past and none of its sagas is live.
    last_ends: HashMap<Date, Option<OffsetDateTime>>,
}

impl SagaDropping {
    fn new(db: PgPool, kept_days: u16) -> Self {
        Self { db, kept_days, last_ends: HashMap::new() }
    }

    /// One round, of which participants are told. Returns the days that it has dropped.
    async fn round_and_note(&mut self, worker: &Worker) -> Result<Vec<Date>, sqlx::Error> {
        let dropped = self.round(worker.clock.now()).await?;
        let before = self.gone_before().await?;
        worker.bus.note(SAGAS_GONE, &[SagasGone { before }]).await;
        Ok(dropped)
    }

    /// One round. Returns the days that it has dropped; doing it twice does nothing.
    async fn round(&mut self, now: OffsetDateTime) -> Result<Vec<Date>, sqlx::Error> {
        self.raise_limit().await?;
        self.remove_leftovers().await?;
        let limit = now - time::Duration::days(self.kept_days.into());
        let mut dropped = Vec::new();
        for day in self.past_days().await? {
            let last_end = match self.last_ends.get(&day) {
                Some(known) => *known,
                None => match self.last_end(day).await {
                    Ok(read) => {
                        self.last_ends.insert(day, read);
                        read
                    }
                    // The days after it, and what participants are told, must not wait for it.
                    Err(error) => {
                        tracing::warn!(%day, %error, "a day of sagas could not be read; it stays until the next round");
                        continue;
                    }
                },
            };
            if last_end.is_some_and(|end| end >= limit) {
                continue;
            }
            match self.drop_day(day).await? {
                Dropped::Yes => dropped.push(day),
                Dropped::No => {}
                Dropped::ByOthers => break,
            }
            self.last_ends.remove(&day);
        }
        Ok(dropped)
    }

    /// The first id of the oldest day that still has a table or a live saga, and at the latest of the oldest that is kept. No
    /// saga before it can begin any more, since `kept_since` is never lowered.
    async fn gone_before(&self) -> Result<Uuid, sqlx::Error> {
        sqlx::query_scalar(
            r"with days as (
                  select min(to_date(right(c.relname, 8), 'YYYYMMDD')) as oldest
                  from pg_inherits i join pg_class c on c.oid = i.inhrelid
                  where i.inhparent in ('saga_log'::regclass, 'finished_saga'::regclass) and c.relname ~ '_\d{8}$'),
              live as (select id from saga where uuid_extract_version(id) = 7 order by id limit 1)
              select least((select kept_since from saga_retention),
                           (select uuidv7_floor(oldest::timestamp at time zone 'UTC') from days),
                           (select id from live))",
        )
        .fetch_one(&self.db)
        .await
    }

    async fn raise_limit(&self) -> Result<(), sqlx::Error> {
        sqlx::query(
            r"with past as (
                  select uuidv7_floor(date_trunc('day', now() - make_interval(days => $1), 'UTC')) as kept_since)
              update saga_retention r set kept_since = past.kept_since from past where r.kept_since < past.kept_since",
        )
        .bind(i32::from(self.kept_days))
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Which sagas a bulk operation could not be done to is told as long as the sagas are.
    async fn remove_leftovers(&self) -> Result<(), sqlx::Error> {
        loop {
            let removed = sqlx::query(
                r"with past as (
                      select s.bulk_operation_id, s.saga_id
                      from bulk_operation o join bulk_operation_saga s on s.bulk_operation_id = o.id
                      where o.ended_at < now() - make_interval(days => $1) limit $2)
                  delete from bulk_operation_saga s using past
                  where s.bulk_operation_id = past.bulk_operation_id and s.saga_id = past.saga_id",
            )
            .bind(i32::from(self.kept_days))
            .bind(CHUNK)
            .execute(&self.db)
            .await?;
            if removed.rows_affected() < CHUNK.unsigned_abs() {
                return Ok(());
            }
        }
    }

    /// Days before the limit that have tables and no live saga, oldest first.
    async fn past_days(&self) -> Result<Vec<Date>, sqlx::Error> {
        sqlx::query_scalar(
            r"with days as (
                  select distinct to_date(right(c.relname, 8), 'YYYYMMDD') as day
                  from pg_inherits i join pg_class c on c.oid = i.inhrelid
                  where i.inhparent in ('saga_log'::regclass, 'finished_saga'::regclass) and c.relname ~ '_\d{8}$'),
              bounds as (
                  select day, uuidv7_floor(day::timestamp at time zone 'UTC') as first_id,
                         uuidv7_floor((day + 1)::timestamp at time zone 'UTC') as next_id
                  from days)
              select day from bounds
              where next_id <= (select kept_since from saga_retention)
                and not exists (select from saga where id >= first_id and id < next_id)
              order by day",
        )
        .fetch_all(&self.db)
        .await
    }

    async fn last_end(&self, day: Date) -> Result<Option<OffsetDateTime>, sqlx::Error> {
        let mut tx = self.db.begin().await?;
        for setting in READING {
            sqlx::query(setting).execute(&mut *tx).await?;
        }
        let end = sqlx::query_scalar(
            r"select max(finished_at) from finished_saga
              where id >= uuidv7_floor($1::date::timestamp at time zone 'UTC')
                and id < uuidv7_floor(($1::date + 1)::timestamp at time zone 'UTC')",
        )
        .bind(day)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(end)
    }

    async fn drop_day(&self, day: Date) -> Result<Dropped, sqlx::Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await?;
        let is_first: bool =
            sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(DROPPING).fetch_one(&mut *tx).await?;
        if !is_first {
            return Ok(Dropped::ByOthers);
        }
        let dropped: bool = sqlx::query_scalar("select drop_day_of_sagas($1)").bind(day).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(if dropped { Dropped::Yes } else { Dropped::No })
    }
}

#[cfg(test)]
mod tests;
