//! Working off bulk operations: one batch a transaction, at a bounded rate, by whichever replica comes first.
//!
//! The operation's row is locked while a batch is worked, so no two replicas work the same one, and what was done to the
//! sagas commits with the progress. A crash loses nothing: the batch that was cut is worked again by the next round.
//!
//! Each saga is asked again whether it still fits the filter when its turn comes: one that an operator has mended
//! meanwhile is left alone.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::Context as _;
use makegood_chassis::{
    clock::DbClock,
    failpoint::{self, Failpoint},
};
use makegood_contracts::account::Account;
use makegood_messaging::{lasting::halve, worker::Worker};
use sqlx::{Arguments as _, Connection as _, PgConnection, PgPool, postgres::PgArguments};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    definitions::{DefinitionShelf, Definitions},
    every_saga::every_saga,
    lasting::is_lasting,
    operation::Operation,
    operator::{Operated, Operator, Round},
    outgoing::Outgoing,
    saga_cache::Instance,
    saga_filter::{SagaFilter, matches_filter},
    saga_store,
};

/// Batches of an operation a second: small enough to be stopped at once, large enough to share a commit.
const BATCHES_PER_SECOND: i32 = 5;
/// A batch is one transaction, and holds its sagas' rows for as long.
const MAX_BATCH: i32 = 200;
/// When nothing is due, an operation that was just asked for waits this long at most.
const ROUND: Duration = Duration::from_millis(250);
/// After an error: the database is away, or worse.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Works until shutdown. Nothing is worked while NATS is away: what it would send could not go out.
pub(crate) async fn work(worker: Worker) -> anyhow::Result<()> {
    let shelf = DefinitionShelf::new(worker.db.clone());
    while !worker.shutdown.token.is_cancelled() {
        let pause = match worker.bus_answers().await {
            true => one_round(&worker, &shelf).await,
            false => ROUND,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = worker.shutdown.token.cancelled() => {}
        }
    }
    Ok(())
}

async fn one_round(worker: &Worker, shelf: &DefinitionShelf) -> Duration {
    match work_batch(&worker.db, shelf, &worker.clock).await {
        Ok(Some(outgoing)) => {
            failpoint::pass(Failpoint::OrchestratorBetweenBulkBatches);
            outgoing.publish(&worker.bus).await;
            Duration::ZERO
        }
        Ok(None) => ROUND.min(next_due(&worker.db).await),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "a bulk operation could not go on; trying again");
            PAUSE_AFTER_ERROR
        }
    }
}

/// How long until a batch is due.
async fn next_due(db: &PgPool) -> Duration {
    let seconds: Result<Option<f64>, sqlx::Error> = sqlx::query_scalar(
        "select extract(epoch from min(next_at) - now())::float8 from bulk_operation where state = 'running'",
    )
    .fetch_one(db)
    .await;
    match seconds {
        Ok(Some(seconds)) => Duration::from_secs_f64(seconds.max(0.01)),
        Ok(None) => ROUND,
        Err(error) => {
            tracing::warn!(%error, "bulk operations could not be looked for; trying again");
            PAUSE_AFTER_ERROR
        }
    }
}

#[derive(sqlx::FromRow)]
struct Running {
    id: Uuid,
    account_id: Uuid,
    livemode: bool,
    actor: String,
    reason: String,
    operation: sqlx::types::Json<Operation>,
    filter: sqlx::types::Json<SagaFilter>,
    rate_per_second: i32,
}

impl Running {
    fn batch(&self) -> i32 {
        (self.rate_per_second / BATCHES_PER_SECOND).clamp(1, MAX_BATCH)
    }
}

/// Works one batch of one operation that is due, and returns what is to be published; none when nothing is due.
///
/// # Errors
/// The database. Nothing was written then.
pub(crate) async fn work_batch(
    db: &PgPool,
    shelf: &DefinitionShelf,
    clock: &DbClock,
) -> anyhow::Result<Option<Outgoing>> {
    let mut tx = db.begin().await.context("beginning a batch of a bulk operation")?;
    let running: Option<Running> = sqlx::query_as(
        r"select id, account_id, livemode, actor, reason, operation, filter, rate_per_second from bulk_operation
          where state = 'running' and next_at <= now() order by next_at limit 1 for update skip locked",
    )
    .fetch_optional(&mut *tx)
    .await
    .context("taking a bulk operation")?;
    let Some(running) = running else { return Ok(None) };
    let ids = next_sagas(&mut tx, &running).await?;
    let outgoing = if ids.is_empty() {
        finish(&mut tx, running.id).await?;
        Outgoing::default()
    } else {
        let definitions = shelf.current().await?;
        let Round { operated, outgoing } = act_apart(&mut tx, &running, &definitions, &ids, clock.now()).await?;
        write_progress(&mut tx, &running, &operated).await?;
        outgoing
    };
    tx.commit().await.context("committing a batch of a bulk operation")?;
    Ok(Some(outgoing))
}

async fn next_sagas(tx: &mut PgConnection, running: &Running) -> anyhow::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        r"select saga_id from bulk_operation_saga where bulk_operation_id = $1 and outcome is null
          order by saga_id limit $2",
    )
    .bind(running.id)
    .bind(running.batch())
    .fetch_all(tx)
    .await
    .context("reading the next sagas of a bulk operation")
}

/// Acts on all of them; what would fail for ever is halved, so that one that cannot be moved fails alone and holds up neither its
/// operation nor all others.
async fn act_apart(
    tx: &mut PgConnection,
    running: &Running,
    definitions: &Definitions,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> anyhow::Result<Round> {
    let mut together = Round::default();
    let mut parts = vec![ids];
    while let Some(part) = parts.pop() {
        let mut savepoint = tx.begin().await.context("beginning a part of a batch")?;
        match act(&mut savepoint, running, definitions, part, now).await {
            Ok(Round { operated, outgoing }) => {
                savepoint.commit().await.context("keeping a part of a batch")?;
                together.operated.extend(operated);
                together.outgoing.merge(outgoing);
            }
            Err(error) if is_lasting(&error) => {
                savepoint.rollback().await.context("giving up a part of a batch")?;
                match part {
                    [id] => drop(together.operated.insert(*id, Operated::Failed(format!("{error:#}")))),
                    _ => halve(&mut parts, part),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(together)
}

async fn act(
    tx: &mut PgConnection,
    running: &Running,
    definitions: &Definitions,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> anyhow::Result<Round> {
    let account = Account { id: running.account_id, livemode: running.livemode };
    let fitting = still_fitting(tx, running.filter.0.arguments(account, definitions)?, ids).await?;
    let instances: HashMap<Uuid, Instance> = saga_store::load(tx, definitions, &fitting).await?;
    let operator = Operator {
        definitions,
        operation: &running.operation.0,
        actor: &running.actor,
        reason: &running.reason,
        bulk_operation: Some(running.id),
        now,
    };
    let mut round = operator.act(tx, instances).await?;
    let fitting: HashSet<Uuid> = fitting.into_iter().collect();
    for id in ids.iter().filter(|id| !fitting.contains(*id)) {
        round.operated.insert(*id, Operated::Refused("it does not fit the filter any more".to_owned()));
    }
    Ok(round)
}

async fn still_fitting(tx: &mut PgConnection, mut arguments: PgArguments, ids: &[Uuid]) -> anyhow::Result<Vec<Uuid>> {
    arguments.add(ids).map_err(|error| anyhow::anyhow!(error).context("encoding the sagas of a batch"))?;
    let sql = concat!(
        "select id from ",
        every_saga!(),
        " where ",
        matches_filter!(),
        " and finished_at is null and id = any($16)"
    );
    sqlx::query_scalar_with(sql, arguments).fetch_all(tx).await.context("asking which sagas still fit the filter")
}

/// A saga that was worked leaves for the audit; one that could not be stays with the reason; one that lost a race is worked
/// again by a later batch.
async fn write_progress(
    tx: &mut PgConnection,
    running: &Running,
    operated: &HashMap<Uuid, Operated>,
) -> anyhow::Result<()> {
    let mut done = Vec::new();
    let (mut left, mut outcomes, mut details) = (Vec::new(), Vec::new(), Vec::new());
    for (id, operated) in operated {
        let (outcome, detail) = match operated {
            Operated::Moved(_) | Operated::Unchanged(_) => {
                done.push(*id);
                continue;
            }
            Operated::Raced => continue,
            Operated::Refused(why) => ("refused", why),
            Operated::Failed(why) => ("failed", why),
        };
        left.push(*id);
        outcomes.push(outcome);
        details.push(detail.as_str());
    }
    let count = |outcome: &str| outcomes.iter().filter(|one| **one == outcome).count() as i64;
    sqlx::query("delete from bulk_operation_saga where bulk_operation_id = $1 and saga_id = any($2)")
        .bind(running.id)
        .bind(&done)
        .execute(&mut *tx)
        .await
        .context("removing sagas that were worked")?;
    sqlx::query(
        r"update bulk_operation_saga b set outcome = l.outcome, detail = l.detail
          from unnest($2::uuid[], $3::text[], $4::text[]) as l (saga_id, outcome, detail)
          where b.bulk_operation_id = $1 and b.saga_id = l.saga_id",
    )
    .bind(running.id)
    .bind(&left)
    .bind(&outcomes)
    .bind(&details)
    .execute(&mut *tx)
    .await
    .context("noting sagas that could not be worked")?;
    sqlx::query(
        r"update bulk_operation
          set done = done + $2, refused = refused + $3, failed = failed + $4,
              next_at = now() + make_interval(secs => $5::float8 / rate_per_second)
          where id = $1",
    )
    .bind(running.id)
    .bind(done.len() as i64)
    .bind(count("refused"))
    .bind(count("failed"))
    .bind(f64::from(running.batch()))
    .execute(&mut *tx)
    .await
    .context("counting what was worked")?;
    Ok(())
}

async fn finish(tx: &mut PgConnection, id: Uuid) -> anyhow::Result<()> {
    sqlx::query("update bulk_operation set state = 'done', ended_at = now() where id = $1")
        .bind(id)
        .execute(tx)
        .await
        .context("ending a bulk operation")?;
    Ok(())
}
