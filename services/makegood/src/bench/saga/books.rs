//! What the run left in the databases: nothing lost, nothing twice, nothing kept that was to be undone.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use super::{Args, system::System};
use crate::progress::say;

/// What is in flight when the load ends has ended long before.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);

/// Counts over the whole run, warm-up included.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    sagas: i64,
    effects: i64,
    undone: i64,
}

/// Waits until every saga that was started has ended, and counts.
///
/// # Errors
/// A saga that does not end; an effect that is missing, or was to be undone and stands.
pub(super) async fn check(system: &System, args: &Args, started: u64) -> anyhow::Result<Checked> {
    let sagas = all_ended(&system.orchestrator_db, args.finished, started).await?;
    let (effects, undone): (i64, i64) = sqlx::query_as("select count(*), count(undone_at) from effect")
        .fetch_one(&system.participant_db)
        .await
        .context("counting effects")?;
    let steps = i64::from(args.refuse_step.map_or(args.steps, |refused| refused - 1));
    let expected_undone = if args.refuse_step.is_some() { effects } else { 0 };
    ensure!(
        effects == sagas * steps && undone == expected_undone,
        "{sagas} sagas of {steps} effects each left {effects} effects, {undone} of them undone"
    );
    Ok(Checked { sagas, effects, undone })
}

async fn all_ended(db: &PgPool, finished_before: u64, started: u64) -> anyhow::Result<i64> {
    let (before, started) = (i64::try_from(finished_before)?, i64::try_from(started)?);
    let give_up_at = Instant::now() + SETTLE_WITHIN;
    loop {
        let (ended, live): (i64, i64) =
            sqlx::query_as("select (select count(*) from finished_saga), (select count(*) from saga)")
                .fetch_one(db)
                .await
                .context("counting sagas")?;
        if live == 0 && ended - before == started {
            return Ok(started);
        }
        ensure!(
            Instant::now() < give_up_at,
            "of {started} sagas {} have ended within {} s, and {live} are on their way",
            ended - before,
            SETTLE_WITHIN.as_secs()
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// Sagas that finished before the run, in the hour before it, each with the two rows of log that every saga has at least.
/// Many at a time, so that progress can be told.
pub(super) async fn fill(db: &PgPool, count: u64) -> anyhow::Result<()> {
    for part in 0..count.div_ceil(PART) {
        let first = part * PART;
        let last = count.min(first + PART);
        sqlx::query(FILL)
            .bind(i64::try_from(first)?)
            .bind(i64::try_from(last)?)
            .bind(i64::try_from(count)?)
            .execute(db)
            .await
            .context("filling in finished sagas")?;
        if last.is_multiple_of(20 * PART) {
            say(&format!("{last} of {count} finished sagas are in the tables"));
        }
    }
    sqlx::query("vacuum analyze").execute(db).await.context("vacuuming")?;
    Ok(())
}

/// Rows of one statement of filling in: a second or so.
const PART: u64 = 50_000;
const FILL: &str = "
    with old as materialized (
        select (substr(uuidv7_floor(now() - interval '1 hour' * (1 - n::float8 / $3))::text, 1, 15)
                || substr(gen_random_uuid()::text, 16))::uuid as id
        from generate_series($1::bigint + 1, $2::bigint) as n),
    ended as (
        insert into finished_saga (id, definition, version, reference, customer, state, revision, progress, input, created_at)
        select id, 'bench', 1, id::text, substr(id::text, 20), 'completed', 2, '{}', '{}', now() from old)
    insert into saga_log (saga_id, revision, event)
    select id, revision, '{\"event\":\"started\"}' from old cross join generate_series(1, 2) as revision";
