//! What the run left in the databases: nothing lost, nothing twice, nothing kept that was to be undone.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use super::{Args, system::System};

/// What is in flight when the load ends has ended long before.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);

/// Counts over the whole run, warm-up included.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    sagas: i64,
    effects: i64,
    undone: i64,
}

/// Waits until every saga has ended, and counts.
///
/// # Errors
/// A saga that does not end; an effect that is missing, or was to be undone and stands.
pub(super) async fn check(system: &System, args: &Args) -> anyhow::Result<Checked> {
    let sagas = all_ended(&system.orchestrator_db, args.finished).await?;
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

async fn all_ended(db: &PgPool, finished_before: u64) -> anyhow::Result<i64> {
    let give_up_at = Instant::now() + SETTLE_WITHIN;
    loop {
        let (all, live): (i64, i64) =
            sqlx::query_as("select count(*), count(*) filter (where finished_at is null) from saga")
                .fetch_one(db)
                .await
                .context("counting sagas")?;
        if live == 0 {
            return Ok(all - i64::try_from(finished_before)?);
        }
        ensure!(Instant::now() < give_up_at, "{live} sagas have not ended within {} s", SETTLE_WITHIN.as_secs());
        sleep(Duration::from_millis(100)).await;
    }
}

/// Sagas that finished before the run.
pub(super) async fn fill(_db: &PgPool, _count: u64) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
