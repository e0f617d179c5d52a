//! The barrier: one row per command key with its outcome, written in the effect's transaction.
//!
//! It answers duplicates, records a compensation that comes first as a tombstone, and refuses the action that comes
//! after. Effects run before the row is inserted: a duplicate is rare, and when one loses the race for the key its
//! whole transaction rolls back, effects included, and it is answered from the winner's row.

use makegood_contracts::{
    command::{Direction, StepKey},
    reply::Outcome,
};
use sqlx::{
    PgConnection, Postgres, Row as _,
    postgres::{PgArguments, PgQueryResult},
    query::Query,
    types::Json,
};
use uuid::Uuid;

/// Another transaction decided one of the keys meanwhile: roll back, and answer from [`outcomes`].
#[derive(Debug, thiserror::Error)]
#[error("a command of this batch was decided by another transaction")]
pub struct AlreadyDecided;

/// Its saga has ended, and is gone with all that was written down of it: nobody can tell any more whether this was done.
#[derive(Debug, thiserror::Error)]
#[error("its saga is so old that it is gone, and what was done for it is forgotten: nothing was done now")]
pub struct Forgotten;

/// What refuses rows of sagas that are gone (`drop_oldest_day_of_barrier`).
const NOT_GONE: &str = "barrier_saga_is_not_gone";

/// Its partitions' names begin with it.
const TABLE: &str = "barrier";

/// The code with which an action is refused that comes after its own compensation.
pub const COMPENSATED: &str = "compensated";

/// The statement's last part, which stores the outcomes; `$1` to `$4` are theirs.
#[macro_export]
macro_rules! insert_first {
    () => {
        "insert into barrier (saga_id, step, direction, outcome)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[])"
    };
}

/// Keys as three arrays, for `unnest`.
fn columns<'a>(keys: impl Iterator<Item = &'a StepKey>) -> (Vec<Uuid>, Vec<&'a str>, Vec<&'static str>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        columns.0.push(key.saga_id);
        columns.1.push(key.step.as_str());
        columns.2.push(key.direction.as_str());
    }
    columns
}

/// Whether the saga of a key `k` is gone, in a statement that joins `barrier_retention` as `kept`: the rule of
/// `barrier_saga_is_not_gone`. A database without that row has forgotten nothing.
macro_rules! is_gone {
    () => {
        "coalesce(k.saga_id < kept.gone_before
                  and (k.saga_id >= kept.began or uuid_extract_version(k.saga_id) is not distinct from 7), false)"
    };
}

/// Outcomes stored for these keys, in order (`None` = not decided here). A key without one whose saga is gone has failed for good.
pub async fn outcomes(conn: &mut PgConnection, keys: &[&StepKey]) -> Result<Vec<Option<Outcome>>, sqlx::Error> {
    let (sagas, steps, directions) = columns(keys.iter().copied());
    let rows: Vec<(Option<Json<Outcome>>,)> = sqlx::query_as(concat!(
        "select coalesce(b.outcome, case when ",
        is_gone!(),
        " then $4 end)
         from unnest($1::uuid[], $2::text[], $3::text[]) with ordinality as k (saga_id, step, direction, n)
         left join barrier b on (b.saga_id, b.step, b.direction) = (k.saga_id, k.step, k.direction)
         left join barrier_retention kept on true
         order by k.n"
    ))
    .bind(sagas)
    .bind(steps)
    .bind(directions)
    .bind(Json(Outcome::defect(Forgotten.to_string())))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(outcome,)| outcome.map(|Json(outcome)| outcome)).collect())
}

/// Stores outcomes of keys that have none; a stored `Pending` is replaced. Fails with [`AlreadyDecided`] when one
/// has been decided meanwhile. `Failed` outcomes are not stored: the next attempt runs again. Nor are those of sagas that are gone,
/// for which nobody waits: what the outside has decided late is kept in the caller's own tables all the same.
pub async fn record(conn: &mut PgConnection, decided: &[(&StepKey, &Outcome)]) -> anyhow::Result<()> {
    let lasting = lasting(decided);
    if lasting.is_empty() {
        return Ok(());
    }
    let row = bind(
        concat!(
            "with given as (
                 select k.*, ",
            is_gone!(),
            " as is_gone
                 from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[]) as k (saga_id, step, direction, outcome)
                 left join barrier_retention kept on true
             ), written as (
                 insert into barrier as b (saga_id, step, direction, outcome)
                 select saga_id, step, direction, outcome from given where not is_gone
                 on conflict (saga_id, step, direction) do update set outcome = excluded.outcome, decided_at = now()
                 where b.outcome ->> 'status' = 'pending'
                 returning 1
             )
             select (select count(*) from written) + (select count(*) from given where is_gone)"
        ),
        &lasting,
    )
    .fetch_one(conn)
    .await?;
    let settled: i64 = row.try_get(0)?;
    if usize::try_from(settled) == Ok(lasting.len()) { Ok(()) } else { Err(AlreadyDecided.into()) }
}

/// The same where nothing can be pending. A plain insert, since a speculative one writes an extra WAL record for each
/// row, and a duplicate rolls everything back anyway.
pub(crate) async fn record_first(conn: &mut PgConnection, decided: &[(&StepKey, &Outcome)]) -> anyhow::Result<()> {
    let lasting = lasting(decided);
    if lasting.is_empty() {
        return Ok(());
    }
    decided_or(bind(insert_first!(), &lasting).execute(conn).await)
}

/// A statement that has an effect and ends with [`insert_first!`](crate::insert_first): `bind` adds its parameters from `$5` on.
/// None of the outcomes may be `Failed`, which is not stored.
///
/// # Errors
/// [`AlreadyDecided`] or [`Forgotten`], with no effect.
pub async fn statement<'q>(
    conn: &mut PgConnection,
    sql: &'static str,
    decided: &[(&'q StepKey, &'q Outcome)],
    bind_more: impl FnOnce(Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments>,
) -> anyhow::Result<()> {
    decided_or(bind_more(bind(sql, decided)).execute(conn).await)
}

/// A key that is there already is the barrier's answer and no failure.
fn decided_or(executed: Result<PgQueryResult, sqlx::Error>) -> anyhow::Result<()> {
    match executed {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error))
            if error.is_unique_violation() && error.table().is_some_and(|table| table.starts_with(TABLE)) =>
        {
            Err(AlreadyDecided.into())
        }
        Err(error) => Err(known(error)),
    }
}

/// The error, said in our own words where it is one that we make.
fn known(error: sqlx::Error) -> anyhow::Error {
    match error.as_database_error().and_then(|error| error.constraint()) {
        Some(NOT_GONE) => Forgotten.into(),
        Some(_) | None => error.into(),
    }
}

type Decided<'a> = (&'a StepKey, &'a Outcome);

fn lasting<'a>(decided: &[Decided<'a>]) -> Vec<Decided<'a>> {
    decided.iter().copied().filter(|(_, outcome)| !matches!(outcome, Outcome::Failed { .. })).collect()
}

fn bind<'q>(statement: &'static str, decided: &[Decided<'q>]) -> Query<'q, Postgres, PgArguments> {
    let (sagas, steps, directions) = columns(decided.iter().map(|(key, _)| *key));
    let outcomes: Vec<Json<&Outcome>> = decided.iter().map(|(_, outcome)| Json(*outcome)).collect();
    sqlx::query(statement).bind(sagas).bind(steps).bind(directions).bind(outcomes)
}

/// For undo keys: leaves tombstones for actions that never came. Returns per key, in order, whether the action was
/// here first. Waits for an action that is being decided at this moment.
pub async fn entomb(conn: &mut PgConnection, undo_keys: &[&StepKey]) -> anyhow::Result<Vec<bool>> {
    let (sagas, steps, _) = columns(undo_keys.iter().copied());
    let tombstone = Outcome::refused(COMPENSATED, "the step was undone before it came");
    let entombed: Vec<(Uuid, String)> = sqlx::query_as(
        r"insert into barrier (saga_id, step, direction, outcome)
          select k.saga_id, k.step, $3, $4 from unnest($1::uuid[], $2::text[]) as k (saga_id, step)
          order by k.saga_id, k.step
          on conflict (saga_id, step, direction) do nothing
          returning saga_id, step",
    )
    .bind(sagas)
    .bind(steps)
    .bind(Direction::Do.as_str())
    .bind(Json(&tombstone))
    .fetch_all(conn)
    .await
    .map_err(known)?;
    let was_here = |key: &StepKey| !entombed.iter().any(|(saga, step)| *saga == key.saga_id && *step == key.step);
    Ok(undo_keys.iter().map(|key| was_here(key)).collect())
}
