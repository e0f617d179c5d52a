//! Telling the log to the rest of the world, telling it again when the stream has lost it, and holding it back while that would push out what
//! a service has yet to read.
//!
//! Two replicas may tell the same events at once: that is harmless, since whoever applies one compares its version.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_nats::jetstream::stream::{Info, Stream};
use makegood_chassis::failpoint::{self, Failpoint};
use makegood_contracts::{account::Account, event::Event, subject};
use serde_json::Value;
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{gauges, restored, room};
use crate::{backoff::Backoff, worker::Worker};

/// Events told per round.
const ROUND: i64 = 500;
/// How often an idle relay looks: events are for projections and people, not for the saga's hot path.
const IDLE: Duration = Duration::from_millis(200);
/// After a reconnection everything this young is told again: JetStream acks before it syncs (every two minutes).
const RETOLD_SECONDS: f64 = 300.0;

/// How often it is looked whether the stream is still the one that was told: another process may have made it anew, without any trouble
/// of this one's connection, and it has nothing then of what it had.
const LOOK_AT_STREAM: Duration = Duration::from_secs(5);

/// What is told, and to which stream.
struct Telling {
    position: Position,
    stream_created: OffsetDateTime,
    looked_at: Instant,
    /// Whether somebody would lose events if more were told.
    is_held_back: bool,
    /// Whether there was more than fits into a round: then the stream fills up between two looks.
    has_told_much: bool,
}

/// Where the log has been told up to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Position {
    written_by: i64,
    id: Uuid,
}

const BEGINNING: Position = Position { written_by: 0, id: Uuid::nil() };

/// Publishes the service's log until shutdown; publishes again what a lost stream had.
pub async fn relay(worker: Worker, service: &'static str) -> anyhow::Result<()> {
    let mut connections = worker.bus.reconnections();
    let mut telling = None;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    while !worker.shutdown.token.is_cancelled() {
        if connections.has_changed().unwrap_or(false) {
            connections.mark_unchanged();
            telling = None;
        }
        let pause = match tell(&worker, service, &mut telling).await {
            Ok(told) => {
                backoff.reset();
                if told == ROUND as usize { Duration::ZERO } else { IDLE }
            }
            Err(error) => {
                tracing::warn!(service, error = format!("{error:#}"), "events could not be told; trying again");
                telling = None;
                // Whoever waits for events must see that they wait, also while nobody can be told.
                if let Err(error) = note_untold(&worker.db, service, false).await {
                    tracing::warn!(service, %error, "how long events have waited is not known; the last figure stays");
                }
                backoff.next_delay()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = worker.shutdown.token.cancelled() => {}
        }
    }
    Ok(())
}

/// One round: reads what comes after the position, publishes it, moves the position. Returns how many were told.
async fn tell(worker: &Worker, service: &'static str, telling: &mut Option<Telling>) -> anyhow::Result<usize> {
    if let Some(begun) = telling
        && (begun.has_told_much || begun.looked_at.elapsed() >= LOOK_AT_STREAM)
    {
        let stream = event_stream(worker).await?;
        if stream.cached_info().created == begun.stream_created {
            begun.look(worker, service, &stream).await?;
        } else {
            *telling = None;
        }
    }
    let telling = match telling {
        Some(begun) => begun,
        None => telling.insert(begin(worker, service).await?),
    };
    if telling.is_held_back {
        telling.has_told_much = false;
        return Ok(0);
    }
    let from = telling.position;
    let (events, to) = read_after(&worker.db, from).await?;
    let told = events.len();
    let mut by_name: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in events {
        by_name.entry(event.name.clone()).or_default().push(event);
    }
    for (name, events) in by_name {
        worker.bus.publish_all(&subject::event(&name), &events).await?;
    }
    if to != from {
        failpoint::pass(Failpoint::EventRelayBeforeSave);
        save(&worker.db, to, telling.stream_created).await?;
    }
    telling.position = to;
    telling.has_told_much = told == ROUND as usize;
    Ok(told)
}

impl Telling {
    /// Looks whether there is room for more, and says how far behind it is.
    async fn look(&mut self, worker: &Worker, service: &'static str, stream: &Stream<Info>) -> anyhow::Result<()> {
        self.looked_at = Instant::now();
        let hindmost = room::hindmost(stream).await?;
        if hindmost.is_some() != self.is_held_back {
            match &hindmost {
                Some(consumer) => tracing::error!(
                    service,
                    consumer,
                    "events are held back: this consumer would lose what it has yet to read. Look why it does not get on"
                ),
                None => tracing::info!(service, "events are told again: there is room for them"),
            }
        }
        self.is_held_back = hindmost.is_some();
        note_untold(&worker.db, service, self.is_held_back).await?;
        Ok(())
    }
}

/// Where to begin on a fresh connection: at the stored position less what JetStream may have lost, or at the very
/// beginning when the stream is not the one that was told before, or the log was restored from another server.
async fn begin(worker: &Worker, service: &'static str) -> anyhow::Result<Telling> {
    worker.bus.declare_streams().await?;
    let stream = event_stream(worker).await?;
    let created = stream.cached_info().created;
    restored::adopt(&worker.db).await.context("looking for events of another server")?;
    let stored: Option<(OffsetDateTime, i64, Uuid, bool)> = sqlx::query_as(
        r"select stream_created, written_by::text::bigint, id, written_by >= pg_snapshot_xmax(pg_current_snapshot())
          from event_relay",
    )
    .fetch_optional(&worker.db)
    .await?;
    let told = match stored {
        // PostgreSQL keeps microseconds.
        Some((stream, written_by, id, is_ahead))
            if !is_ahead && (stream - created).abs() < time::Duration::milliseconds(1) =>
        {
            Position { written_by, id }
        }
        Some(_) | None => {
            tracing::info!("the event stream is new, or the log is restored: telling the whole log");
            sqlx::query(
                r"insert into event_relay (stream_created, written_by, id) values ($1, '0', $2)
                  on conflict (singleton) do update
                  set stream_created = excluded.stream_created, written_by = excluded.written_by, id = excluded.id",
            )
            .bind(created)
            .bind(Uuid::nil())
            .execute(&worker.db)
            .await?;
            BEGINNING
        }
    };
    let young: Option<(i64, Uuid)> = sqlx::query_as(
        // In two steps: in one, the planner would look for the first by position, and read the whole log until it comes to the young ones.
        r"select young.written_by::text::bigint, young.id
          from (select written_by, id from event_log
                where id >= uuidv7_floor(now() - make_interval(secs => $1)) offset 0) young
          order by young.written_by, young.id limit 1",
    )
    .bind(RETOLD_SECONDS)
    .fetch_optional(&worker.db)
    .await?;
    // One transaction id earlier: the position is exclusive. There is none before the events of another server.
    let retold = young.map(|(written_by, _)| match written_by {
        0 => BEGINNING,
        _ => Position { written_by: written_by - 1, id: Uuid::max() },
    });
    let position = match retold {
        Some(retold) if retold.written_by < told.written_by => retold,
        Some(_) | None => told,
    };
    let mut telling = Telling {
        position,
        stream_created: created,
        looked_at: Instant::now(),
        is_held_back: false,
        has_told_much: false,
    };
    telling.look(worker, service, &stream).await?;
    Ok(telling)
}

async fn event_stream(worker: &Worker) -> anyhow::Result<Stream<Info>> {
    if let Ok(stream) = worker.bus.jetstream().get_stream(subject::EVENT_STREAM).await {
        return Ok(stream);
    }
    worker.bus.declare_streams().await?;
    worker.bus.jetstream().get_stream(subject::EVENT_STREAM).await.context("getting the event stream")
}

type Row = (i64, Uuid, String, Uuid, bool, String, i64, Json<Value>, OffsetDateTime);

/// Events after the position whose transactions, and all before them, have ended.
async fn read_after(db: &PgPool, from: Position) -> Result<(Vec<Event>, Position), sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        r"select written_by::text::bigint, id, name, account_id, livemode, subject, version, data, occurred_at
          from event_log
          where (written_by, id) > ($1::text::xid8, $2) and written_by < pg_snapshot_xmin(pg_current_snapshot())
          order by event_log.written_by, event_log.id limit $3",
    )
    .bind(from.written_by.to_string())
    .bind(from.id)
    .bind(ROUND)
    .fetch_all(db)
    .await?;
    let to = rows.last().map_or(from, |row| Position { written_by: row.0, id: row.1 });
    let events = rows
        .into_iter()
        .map(|(_, id, name, account_id, livemode, subject, version, Json(data), occurred_at)| Event {
            id,
            name,
            account: Account { id: account_id, livemode },
            subject,
            version,
            occurred_at,
            data,
        })
        .collect();
    Ok((events, to))
}

/// Sets the gauges: how long the first event has waited that comes after the stored position, also one that is not told yet since a
/// transaction before it has not ended. A forgotten one holds up everything, and that must be seen.
async fn note_untold(db: &PgPool, service: &'static str, is_held_back: bool) -> Result<(), sqlx::Error> {
    let seconds: Option<f64> = sqlx::query_scalar(
        r"select extract(epoch from clock_timestamp() - untold.occurred_at)::float8
          from event_relay told
          cross join lateral (
              select occurred_at from event_log
              where (written_by, id) > (told.written_by, told.id) order by written_by, id limit 1
          ) untold",
    )
    .fetch_optional(db)
    .await?;
    // No row: everything is told.
    gauges::set(service, seconds.unwrap_or_default(), is_held_back);
    Ok(())
}

/// A replica that has not noticed yet that the stream is another one must not say how far the new one was told.
async fn save(db: &PgPool, position: Position, stream_created: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query("update event_relay set written_by = $1::text::xid8, id = $2 where stream_created = $3")
        .bind(position.written_by.to_string())
        .bind(position.id)
        .bind(stream_created)
        .execute(db)
        .await?;
    Ok(())
}
