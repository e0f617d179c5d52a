//! Sagas in PostgreSQL: loading many, starting many, moving many; one statement each.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use makegood_contracts::orchestrator::StartSaga;
use makegood_saga::{context::Context, event::Event, state::State};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{definitions::Definitions, saga_cache::Instance, saga_retention::is_past};

/// What happened to one saga, ready to be written.
pub(crate) struct Move {
    pub(crate) id: Uuid,
    pub(crate) from_revision: i32,
    pub(crate) instance: Instance,
    pub(crate) log: Vec<LogRow>,
}

/// One row of the log; its revision follows from its place.
pub(crate) struct LogRow {
    pub(crate) event: String,
    pub(crate) sent: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    definition: String,
    version: i32,
    revision: i32,
    progress: sqlx::types::Json<State>,
    input: sqlx::types::Json<Value>,
    traceparent: Option<String>,
    wake_at: Option<OffsetDateTime>,
}

/// Loads sagas with their contexts; ids that are not there are absent from the result.
///
/// The bounds say nothing new, but they tell a plan for any ids which few of the many days it must open.
pub(crate) async fn load(
    conn: &mut PgConnection,
    definitions: &Definitions,
    ids: &[Uuid],
) -> anyhow::Result<HashMap<Uuid, Instance>> {
    let rows: Vec<Row> = sqlx::query_as(
        r"select id, definition, version, revision, progress, input, traceparent, wake_at from every_saga
          where id = any($1) and id between $2 and $3",
    )
    .bind(ids)
    .bind(ids.iter().min())
    .bind(ids.iter().max())
    .fetch_all(&mut *conn)
    .await
    .context("loading sagas")?;
    let wanted = rows.iter().map(|row| (row.definition.as_str(), row.version.unsigned_abs()));
    let newer = definitions.released_since(conn, wanted).await?;
    let mut outputs = load_outputs(conn, ids).await?;
    let mut instances = HashMap::with_capacity(rows.len());
    for row in rows {
        let version = u32::try_from(row.version).context("a version is positive")?;
        let definition = definitions
            .version(&row.definition, version)
            .or_else(|| newer.version(&row.definition, version))
            .with_context(|| format!("saga {} runs {} v{version}, which is not stored", row.id, row.definition))?;
        let mut state = row.progress.0;
        state.restore(definition, row.id, row.input.0, outputs.remove(&row.id).unwrap_or_default());
        let instance = Instance {
            definition: definition.clone(),
            state,
            revision: row.revision,
            traceparent: row.traceparent,
            wake_at: row.wake_at,
        };
        instances.insert(row.id, instance);
    }
    Ok(instances)
}

/// The outputs of done steps, from the log: with the input they are the context.
async fn load_outputs(conn: &mut PgConnection, ids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Context>> {
    let rows: Vec<(Uuid, sqlx::types::Json<Event>)> = sqlx::query_as(
        r"select saga_id, event from saga_log
          where saga_id = any($1) and saga_id between $2 and $3 order by saga_id, revision",
    )
    .bind(ids)
    .bind(ids.iter().min())
    .bind(ids.iter().max())
    .fetch_all(conn)
    .await
    .context("loading saga logs")?;
    let mut contexts: HashMap<Uuid, Context> = HashMap::new();
    for (id, event) in rows {
        contexts.entry(id).or_default().learn(event.0);
    }
    Ok(contexts)
}

/// What came of starting sagas. One that is in neither was started before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Started {
    pub(crate) new: HashSet<Uuid>,
    /// So old that they may have run, ended and gone: not started.
    pub(crate) past: HashSet<Uuid>,
}

/// Inserts sagas that do not exist yet, with the first row of their log.
///
/// One whose every step is skipped ends as it starts, and one whose first step cannot begin is parked as it starts. A saga that has ended is not in `saga` any more, but its log is there, so
/// the log's key says whether a start is new. The insert finds the one day that it concerns; a look before it would open them all.
pub(crate) async fn start(
    conn: &mut PgConnection,
    starts: &[(&StartSaga, &Instance, &LogRow)],
) -> anyhow::Result<Started> {
    let instances = || starts.iter().map(|(_, instance, _)| *instance);
    let rows: Vec<(Uuid, bool)> = sqlx::query_as(concat!(
        r"with asked as materialized (
              select s.*, ",
        is_past!("s.id"),
        r" as is_past
              from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                          $9::text[], $10::text[], $11::timestamptz[], $12::text[], $13::text[], $14::text[])
                   as s (id, definition, version, reference, customer, state, step, progress, input, traceparent, wake_at, event, sent,
                         reason)
              cross join saga_retention kept),
          logged as (
              insert into saga_log (saga_id, revision, event, sent)
              select id, 1, event::json, sent::json from asked where not is_past order by id
              on conflict (saga_id, revision) do nothing
              returning saga_id as id),
          live as (
              insert into saga (id, definition, version, reference, customer, state, step, revision, progress, input, traceparent, wake_at,
                                reason, parked_at)
              select id, definition, version, reference, customer, state, step, 1, progress::json, input::json, traceparent, wake_at,
                     reason::jsonb, case when state = 'parked' then now() end
              from asked join logged using (id) where state not in ('completed', 'compensated')),
          ended as (
              insert into finished_saga (id, definition, version, reference, customer, state, revision, progress, input, traceparent, created_at)
              select id, definition, version, reference, customer, state, 1, progress::json, input::json, traceparent, now()
              from asked join logged using (id) where state in ('completed', 'compensated'))
          select id, false from logged union all select id, true from asked where is_past",
    ))
    .bind(starts.iter().map(|(start, _, _)| start.saga_id).collect::<Vec<_>>())
    .bind(instances().map(|instance| instance.definition.name.as_str()).collect::<Vec<_>>())
    .bind(instances().map(|instance| i32::try_from(instance.definition.version).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(starts.iter().map(|(start, _, _)| start.reference.as_str()).collect::<Vec<_>>())
    .bind(starts.iter().map(|(start, _, _)| start.customer.as_deref()).collect::<Vec<_>>())
    .bind(instances().map(|instance| instance.state.condition().as_str()).collect::<Vec<_>>())
    .bind(instances().map(current_step).collect::<Vec<_>>())
    .bind(instances().map(|instance| progress(&instance.state)).collect::<anyhow::Result<Vec<_>>>()?)
    .bind(starts.iter().map(|(start, _, _)| start.input.to_string()).collect::<Vec<_>>())
    .bind(starts.iter().map(|(start, _, _)| start.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(instances().map(|instance| instance.wake_at).collect::<Vec<_>>())
    .bind(starts.iter().map(|(_, _, log)| log.event.as_str()).collect::<Vec<_>>())
    .bind(starts.iter().map(|(_, _, log)| log.sent.as_deref()).collect::<Vec<_>>())
    .bind(instances().map(|instance| reason(&instance.state)).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let of = |is_past: bool| rows.iter().filter(|row| row.1 == is_past).map(|(id, _)| *id).collect();
    let mut started = Started { new: of(false), past: of(true) };
    if !started.past.is_empty() {
        for known in logged_among(conn, &started.past).await? {
            started.past.remove(&known);
        }
    }
    Ok(started)
}

/// Those whose log is there: they were started once and their day is not gone.
async fn logged_among(conn: &mut PgConnection, ids: &HashSet<Uuid>) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("select saga_id from saga_log where saga_id = any($1) and revision = 1")
        .bind(ids.iter().copied().collect::<Vec<_>>())
        .fetch_all(conn)
        .await
}

/// The sagas that were written; of one that has ended, how many seconds it took.
pub(crate) type Written = HashMap<Uuid, Option<f64>>;

/// Writes moves whose revision still stands, with their log; a saga that has ended leaves for `finished_saga`.
///
/// Each row is looked up by its key, one after the other, and then written in its place: to the planner `saga` is often empty,
/// and it would rather read all of it, dead rows too. A row that another replica writes meanwhile has
/// another revision then.
pub(crate) async fn write(conn: &mut PgConnection, moves: &[Move]) -> anyhow::Result<Written> {
    let log = || moves.iter().flat_map(|one| one.log.iter().enumerate().map(move |(place, row)| (one, place, row)));
    let rows: Vec<(Uuid, Option<f64>)> = sqlx::query_as(
        r"with found as materialized (
              select m.*, place
              from unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
                   as m (id, from_revision, to_revision, state, step, progress, reason, wake_at)
              cross join lateral (
                  select s.ctid as place from saga s where s.id = m.id and s.revision = m.from_revision offset 0) at),
          moved as (
              update saga s
              set revision = m.to_revision, state = m.state, step = m.step, progress = m.progress::json,
                  reason = m.reason::jsonb, wake_at = m.wake_at, updated_at = now(),
                  step_since = case when m.step is distinct from s.step or s.state in ('paused', 'parked') then now() else s.step_since end,
                  parked_at = case when m.state = 'parked' then coalesce(s.parked_at, now()) end
              from found m
              where s.ctid = m.place and s.revision = m.from_revision and m.state not in ('completed', 'compensated')
              returning s.id),
          ended as (
              delete from saga s using found m
              where s.ctid = m.place and s.revision = m.from_revision and m.state in ('completed', 'compensated')
              returning s.id, s.definition, s.version, s.reference, s.customer, m.state, m.to_revision, m.progress, s.input,
                        m.reason, s.traceparent, s.created_at),
          finished as (
              insert into finished_saga (id, definition, version, reference, customer, state, revision, progress, input, reason,
                                         traceparent, created_at)
              select id, definition, version, reference, customer, state, to_revision, progress::json, input, reason::jsonb,
                     traceparent, created_at
              from ended),
          written as (
              select id, null::float8 as took from moved union all
              select id, extract(epoch from now() - created_at)::float8 from ended),
          logged as (
              insert into saga_log (saga_id, revision, event, sent)
              select l.id, l.revision, l.event::json, l.sent::json
              from unnest($9::uuid[], $10::int[], $11::text[], $12::text[]) as l (id, revision, event, sent)
              join written using (id))
          select id, took from written",
    )
    .bind(moves.iter().map(|one| one.id).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| one.from_revision).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| one.instance.revision).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| one.instance.state.condition().as_str()).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| current_step(&one.instance)).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| progress(&one.instance.state)).collect::<anyhow::Result<Vec<_>>>()?)
    .bind(moves.iter().map(|one| reason(&one.instance.state)).collect::<Vec<_>>())
    .bind(moves.iter().map(|one| one.instance.wake_at).collect::<Vec<_>>())
    .bind(log().map(|(one, _, _)| one.id).collect::<Vec<_>>())
    .bind(log().map(|(one, place, _)| one.from_revision.saturating_add(1).saturating_add(place as i32)).collect::<Vec<_>>())
    .bind(log().map(|(_, _, row)| row.event.as_str()).collect::<Vec<_>>())
    .bind(log().map(|(_, _, row)| row.sent.as_deref()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Sets the timers of sagas whose revision still stands to what their instances say. Returns the ids that were set.
pub(crate) async fn set_timers(
    conn: &mut PgConnection,
    instances: &[(Uuid, Instance)],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        r"update saga s set wake_at = t.wake_at
          from unnest($1::uuid[], $2::int[], $3::timestamptz[]) as t (id, revision, wake_at)
          where s.id = t.id and s.revision = t.revision
          returning s.id",
    )
    .bind(instances.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(instances.iter().map(|(_, instance)| instance.revision).collect::<Vec<_>>())
    .bind(instances.iter().map(|(_, instance)| instance.wake_at).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().collect())
}

/// Pins sagas to another version, in the transaction that has written their moves. Nothing else changes a version, so the
/// statement that writes every move leaves it out.
pub(crate) async fn move_version(conn: &mut PgConnection, ids: &[Uuid], version: u32) -> anyhow::Result<()> {
    let version = i32::try_from(version).context("a version that exists is small")?;
    sqlx::query("update saga set version = $2 where id = any($1)").bind(ids).bind(version).execute(conn).await?;
    Ok(())
}

fn current_step(instance: &Instance) -> Option<String> {
    instance.state.current_step(&instance.definition).map(str::to_owned)
}

fn progress(state: &State) -> anyhow::Result<String> {
    serde_json::to_string(state).context("encoding a saga's progress")
}

/// What people see as the reason: why it is paused, why it is parked, or why it was undone.
fn reason(state: &State) -> Option<String> {
    let reason = match (&state.paused, &state.parked, state.reasons.first()) {
        (Some(paused), parked, _) => {
            let parked = parked.as_ref().map_or(String::new(), |parked| format!("; parked too: {}", parked.why));
            json!({ "code": "paused", "detail": format!("{}: {}{parked}", paused.actor, paused.reason) })
        }
        (None, Some(parked), _) => json!({ "step": parked.step, "code": "parked", "detail": parked.why }),
        (None, None, Some(reason)) => json!(reason),
        (None, None, None) => return None,
    };
    Some(reason.to_string())
}

/// Takes sagas whose time has come, each by one replica: their `wake_at` moves a little, so that another replica takes
/// over if this one dies before it has written them. Each comes with its revision, as [`live_between`] has it.
pub(crate) async fn take_due(db: &PgPool, limit: i64) -> Result<Vec<(Uuid, i32)>, sqlx::Error> {
    sqlx::query_as(
        r"update saga set wake_at = now() + interval '5 seconds'
          where id in (select id from saga where wake_at <= now() order by wake_at limit $1 for update skip locked)
          returning id, revision",
    )
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Has a saga that could not be moved wait for a minute: the longest for which it is still listed as stuck by its step's age.
pub(crate) async fn put_off(db: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("update saga set wake_at = now() + interval '1 minute' where id = $1 and wake_at is not null")
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}

/// The live saga with the highest id.
pub(crate) async fn newest_live(db: &PgPool) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar("select id from saga order by id desc limit 1").fetch_optional(db).await
}

/// Live sagas after an id and up to another that may have something out, in order, with their revisions: recovery walks over them. One that
/// waits for somebody for longer than any pending step does until it is asked again has nothing out, and there may be a million of those.
pub(crate) async fn live_between(
    db: &PgPool,
    after: Uuid,
    last: Uuid,
    limit: i64,
) -> Result<Vec<(Uuid, i32)>, sqlx::Error> {
    sqlx::query_as(
        r"select id, revision from saga
          where id > $1 and id <= $2 and (state <> 'waiting' or wake_at <= now() + interval '1 minute')
          order by id limit $3",
    )
    .bind(after)
    .bind(last)
    .bind(limit)
    .fetch_all(db)
    .await
}
