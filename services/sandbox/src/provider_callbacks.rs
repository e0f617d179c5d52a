//! Tells the merchant that an operation was decided: at least once, again until it is taken. The row is written in the
//! decision's transaction, and may be due later, or be there several times, when a fault says so.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use makegood_chassis::shutdown::Shutdown;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::callback_client::CallbackClient;

/// Callbacks sent in one round, and at once.
const MAX_ROUND: i64 = 256;
const MAX_AT_ONCE: usize = 16;
/// A callback that is being sent is nobody else's for this long: a round in which every receiver hangs.
const LEASE_SECONDS: f64 = 300.0;
/// Between rounds when nothing was due.
const IDLE_DELAY: Duration = Duration::from_millis(200);

/// Writes callbacks of operations in the caller's transaction, each due after its delay.
pub(crate) async fn enqueue(conn: &mut PgConnection, callbacks: &[(Uuid, Duration)]) -> Result<(), sqlx::Error> {
    if callbacks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        // One decision is one event, however often it is told.
        r"insert into provider_callback (id, event_id, operation_id, due_at)
          select c.id, 'evt_' || replace(c.operation_id::text, '-', ''), c.operation_id, now() + make_interval(secs => c.late)
          from unnest($1::uuid[], $2::uuid[], $3::float8[]) as c (id, operation_id, late)",
    )
    .bind(callbacks.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .bind(callbacks.iter().map(|(operation_id, _)| *operation_id).collect::<Vec<_>>())
    .bind(callbacks.iter().map(|(_, late)| late.as_secs_f64()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Sends in rounds until shutdown.
pub(crate) async fn run(db: PgPool, shutdown: Shutdown, client: CallbackClient, url: String) -> anyhow::Result<()> {
    while !shutdown.has_begun() {
        let sent = send_due(&db, &client, &url).await.unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "the provider's callbacks could not be read; trying again");
            0
        });
        if sent == 0 {
            shutdown.pause(IDLE_DELAY).await;
        }
    }
    Ok(())
}

#[derive(Debug, Serialize, sqlx::FromRow)]
struct Callback {
    #[serde(skip)]
    id: Uuid,
    event_id: String,
    operation_id: Uuid,
}

/// One round: how many were sent, taken or not.
pub(crate) async fn send_due(db: &PgPool, client: &CallbackClient, url: &str) -> anyhow::Result<usize> {
    let due: Vec<Callback> = take_due(db).await?;
    let sent = due.len();
    let taken: Vec<(Uuid, bool)> =
        stream::iter(due).map(|callback| send(client, url, callback)).buffer_unordered(MAX_AT_ONCE).collect().await;
    let (taken, refused): (Vec<_>, Vec<_>) = taken.into_iter().partition(|(_, taken)| *taken);
    finish(db, &ids(&taken), &ids(&refused)).await?;
    Ok(sent)
}

fn ids(callbacks: &[(Uuid, bool)]) -> Vec<Uuid> {
    callbacks.iter().map(|(id, _)| *id).collect()
}

async fn send(client: &CallbackClient, url: &str, callback: Callback) -> (Uuid, bool) {
    let sent = match serde_json::to_vec(&callback) {
        Ok(body) => client.post(url, body).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = &sent {
        tracing::debug!(
            event_id = callback.event_id,
            error = format!("{error:#}"),
            "a callback was not taken; it is sent again"
        );
    }
    (callback.id, sent.is_ok())
}

async fn take_due(db: &PgPool) -> Result<Vec<Callback>, sqlx::Error> {
    sqlx::query_as(
        r"update provider_callback set due_at = now() + make_interval(secs => $1), attempts = attempts + 1
          where id in (select id from provider_callback where due_at <= now() order by due_at limit $2 for update skip locked)
          returning id, event_id, operation_id",
    )
    .bind(LEASE_SECONDS)
    .bind(MAX_ROUND)
    .fetch_all(db)
    .await
}

/// What was not taken is sent again: after 2 s, then twice as long each time, at most a minute.
async fn finish(db: &PgPool, taken: &[Uuid], refused: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"update provider_callback
          set due_at = case when id = any($2) then now() + make_interval(secs => least(60, 2 ^ least(attempts, 6))) end
          where id = any($1) or id = any($2)",
    )
    .bind(taken)
    .bind(refused)
    .execute(db)
    .await?;
    Ok(())
}
