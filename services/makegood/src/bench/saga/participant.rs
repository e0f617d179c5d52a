//! The benchmark's participant, a process of its own: an effect row a step, in the barrier's transaction.

use anyhow::Context as _;
use makegood_chassis::{
    clock::DbClock,
    config::Config,
    database::{self, Purpose},
    role,
    shutdown::Shutdown,
};
use makegood_contracts::reply::Outcome;
use makegood_messaging::{
    barrier,
    bus::Bus,
    insert_first,
    participant::{Job, Participant},
    worker::Worker,
};
use serde_json::Value;
use sqlx::{PgConnection, migrate::Migrator};

use crate::interrupts::Interrupts;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/bench");
/// As in its database's name and its commands.
pub(crate) const SERVICE: &str = "bench";
/// The code that a refused step's saga is undone for.
const REFUSED: &str = "refused_by_plan";

/// The participant of `bench saga`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: Config,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let shutdown = Shutdown::default();
    let mut interrupts = Interrupts::register()?;
    let thread = role::spawn(SERVICE, shutdown.clone(), {
        let shutdown = shutdown.clone();
        move || participate(args.config, shutdown)
    });
    interrupts.next().await;
    shutdown.begin();
    tokio::task::spawn_blocking(move || thread.join())
        .await?
        .map_err(|_panic| anyhow::anyhow!("the participant panicked"))?
}

async fn participate(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let url = database::service_url(&config, SERVICE)?;
    let db = database::connect(&url, SERVICE, Purpose::Worker).await?;
    let clock = DbClock::measure(&db).await?;
    let bus = Bus::connect(&config.nats_url, "makegood-bench").await?;
    let worker = Worker { db, bus, clock, shutdown };
    Participant::new(SERVICE, worker)
        .statement("make_effect", make_effects)
        .action("refuse_effect", refuse_effects)
        .undo("undo_effect", undo_effects)
        .run()
        .await
}

async fn make_effects(connection: &mut PgConnection, jobs: &[Job<Value>]) -> anyhow::Result<Vec<Outcome>> {
    let outcomes = vec![Outcome::done(); jobs.len()];
    let decided: Vec<_> = jobs.iter().map(|job| &job.key).zip(&outcomes).collect();
    let sql = concat!(
        "with made as (insert into effect (saga_id, step) select * from unnest($1::uuid[], $2::text[])) ",
        insert_first!()
    );
    barrier::statement(connection, sql, &decided, |query| query).await.context("making effects")?;
    Ok(outcomes)
}

async fn refuse_effects(_tx: &mut PgConnection, jobs: &[Job<Value>]) -> anyhow::Result<Vec<Outcome>> {
    Ok(jobs.iter().map(|_| Outcome::refused(REFUSED, "this step is to be refused")).collect())
}

async fn undo_effects(tx: &mut PgConnection, jobs: &[Job<Value>]) -> anyhow::Result<Vec<Outcome>> {
    let (sagas, steps): (Vec<_>, Vec<_>) = jobs.iter().map(|job| (job.key.saga_id, job.key.step.as_str())).unzip();
    sqlx::query(
        "update effect set undone_at = now() from unnest($1::uuid[], $2::text[]) as u (saga_id, step)
         where effect.saga_id = u.saga_id and effect.step = u.step and undone_at is null",
    )
    .bind(sagas)
    .bind(steps)
    .execute(tx)
    .await
    .context("undoing effects")?;
    Ok(jobs.iter().map(|_| Outcome::Done { output: Value::Null }).collect())
}
