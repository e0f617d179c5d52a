//! SIGKILL in full flight: how soon every saga that was on its way moves again once its orchestrator is started anew.
//!
//! The database is asked. When the last statement of the dead process is over, what lives is noted with its revision. A saga is
//! taken up when it has another one, and moves when something else than the recovery made one (an answer has come and was
//! written down), or when it has ended. Others are started all the while, as buyers do not wait for us.

use std::{fmt, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::{Instant, interval, sleep};
use uuid::Uuid;

use super::{Args, books, books::Checked, starter::Starter, system::System};
use crate::{
    bench::load::{self, Plan},
    progress::{say, step},
};

/// The load ends when all has been seen, long before.
const LOAD_FOR: Duration = Duration::from_secs(3_600);
/// A dead process's connections end with the statement that runs in them.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// Far beyond what is worth a figure.
const MOVING_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const TELL_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize)]
pub(super) struct Report {
    scenario: &'static str,
    steps: u16,
    in_flight: u16,
    /// Sagas that had begun and not ended.
    in_flight_at_kill: usize,
    /// All from the start of the new process on.
    ready_after_seconds: f64,
    all_taken_up_after_seconds: f64,
    half_moving_after_seconds: f64,
    all_moving_after_seconds: f64,
    checked: Checked,
}

/// When sagas were seen to move again, after the start of the new process.
struct Moving {
    all_taken_up: Duration,
    half: Duration,
    all: Duration,
}

/// A saga as it stood when its orchestrator died.
type Standing = (Uuid, i32);

pub(super) async fn measure(args: &Args, system: &mut System) -> anyhow::Result<Report> {
    let starter = Starter::connect(&system.nats_url).await?;
    let clients = (0..args.in_flight).map(|_| starter.client()).collect();
    let plan = Plan { warm_up: args.warm_up, duration: LOAD_FOR, rate: None };
    let (in_flight_at_kill, ready, moving) = tokio::select! {
        _ = load::run(clients, plan) => bail!("the load ended before all was seen"),
        seen = kill_and_watch(args, system) => seen?,
    };
    let checked = step("checking every effect", books::check(system, args, starter.started())).await?;
    Ok(Report {
        scenario: "saga_kill",
        steps: args.steps,
        in_flight: args.in_flight,
        in_flight_at_kill,
        ready_after_seconds: ready.as_secs_f64(),
        all_taken_up_after_seconds: moving.all_taken_up.as_secs_f64(),
        half_moving_after_seconds: moving.half.as_secs_f64(),
        all_moving_after_seconds: moving.all.as_secs_f64(),
        checked,
    })
}

async fn kill_and_watch(args: &Args, system: &mut System) -> anyhow::Result<(usize, Duration, Moving)> {
    let db = system.orchestrator_db.clone();
    sleep(args.warm_up).await;
    system.kill_orchestrator().await?;
    let standing = step("waiting for the dead process's last statement", standing(&db)).await?;
    let count = standing.len();
    ensure!(count > 0, "no saga was in flight");
    say(&format!("the orchestrator is dead with {count} sagas in flight; starting it again"));
    let started = Instant::now();
    let restart = async { system.restart_orchestrator().await.map(|()| started.elapsed()) };
    let (ready, moving) = tokio::try_join!(restart, watch(&db, standing, started))?;
    Ok((count, ready, moving))
}

/// The sagas that live and their revisions, once nothing of the dead process writes any more.
async fn standing(db: &PgPool) -> anyhow::Result<Vec<Standing>> {
    let give_up_at = Instant::now() + GONE_WITHIN;
    loop {
        let left: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
             and application_name in ('makegood-orchestrator-worker', 'makegood-orchestrator-http')",
        )
        .fetch_one(db)
        .await
        .context("looking for connections of the dead process")?;
        if left == 0 {
            return sqlx::query_as("select id, revision from saga")
                .fetch_all(db)
                .await
                .context("noting what is in flight");
        }
        ensure!(Instant::now() < give_up_at, "{left} connections of the dead process do not end");
        sleep(LOOK_EVERY).await;
    }
}

/// Looks until all of them move.
async fn watch(db: &PgPool, mut standing: Vec<Standing>, started: Instant) -> anyhow::Result<Moving> {
    let count = standing.len();
    let (mut all_taken_up, mut half) = (None, None);
    let mut told = interval(TELL_EVERY);
    told.tick().await;
    loop {
        let left = not_moving(db, &standing).await?;
        let elapsed = started.elapsed();
        if left.iter().all(|(_, _, is_taken_up)| *is_taken_up) {
            all_taken_up.get_or_insert(elapsed);
        }
        if left.len() <= count / 2 {
            half.get_or_insert(elapsed);
        }
        standing = left.into_iter().map(|(id, revision, _)| (id, revision)).collect();
        if let ([], Some(all_taken_up), Some(half)) = (standing.as_slice(), all_taken_up, half) {
            return Ok(Moving { all_taken_up, half, all: elapsed });
        }
        let moving = count - standing.len();
        ensure!(elapsed < MOVING_WITHIN, "only {moving} of {count} sagas move, and {:?} does not", standing.first());
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            _ = told.tick() => say(&format!("{moving} of {count} move again after {:.1} s", elapsed.as_secs_f64())),
        }
    }
}

/// Those that live and were moved by nothing but the recovery, and whether they were by that.
async fn not_moving(db: &PgPool, standing: &[Standing]) -> anyhow::Result<Vec<(Uuid, i32, bool)>> {
    let (ids, revisions): (Vec<Uuid>, Vec<i32>) = standing.iter().copied().unzip();
    sqlx::query_as(
        "select k.id, k.revision, s.revision > k.revision
         from unnest($1::uuid[], $2::int[]) as k (id, revision) join saga s using (id)
         where not exists (select from saga_log l where l.saga_id = k.id and l.revision > k.revision
                           and l.event ->> 'event' <> 'recovered')",
    )
    .bind(ids)
    .bind(revisions)
    .fetch_all(db)
    .await
    .context("looking which sagas move")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "sagas of {} steps, {} in flight; the orchestrator was killed with {} of them begun and not ended",
            self.steps, self.in_flight, self.in_flight_at_kill
        )?;
        writeln!(f, "{:<28}{:>8.2} s after its start", "ready again", self.ready_after_seconds)?;
        for (what, seconds) in [
            ("all are taken up", self.all_taken_up_after_seconds),
            ("half of them move", self.half_moving_after_seconds),
            ("all of them move", self.all_moving_after_seconds),
        ] {
            writeln!(f, "{what:<28}{seconds:>8.2} s")?;
        }
        write!(f, "{:<28}{}", "checked", serde_json::json!(self.checked))
    }
}
