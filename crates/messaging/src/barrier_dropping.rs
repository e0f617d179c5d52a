//! The end of barrier rows: days whose sagas are gone go too, once the orchestrator says so.
//!
//! Only the orchestrator knows that a saga will never send again: it notes every hour before which id all sagas are gone
//! ([`SAGAS_GONE`]). A day is dropped in a transaction of its own, together with the check that refuses later commands of its
//! sagas; dying anywhere leaves whole days. A note that is lost comes again, and one that comes twice finds nothing to do.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use makegood_chassis::shutdown::Shutdown;
use makegood_contracts::orchestrator::{SAGAS_GONE, SagasGone};
use sqlx::PgPool;
use time::Date;
use tokio::time::sleep;
use uuid::Uuid;

use crate::worker::Worker;

/// After a day that could not be dropped, as while somebody reads the table for long.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Whoever handles a command waits as long as we wait for the table, so we wait no longer than nobody notices.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '100ms'";

/// Drops the days that are gone, as notes about them come, until shutdown.
pub async fn keep_dropping(worker: Worker) {
    while !worker.shutdown.token.is_cancelled() {
        match worker.bus.listen(SAGAS_GONE).await {
            Ok(notes) => follow(&worker.db, &worker.shutdown, notes).await,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "cannot hear yet which sagas are gone");
                worker.shutdown.pause(TRY_AGAIN_AFTER).await;
            }
        }
    }
}

/// Does as the notes say, until they end or shutdown comes.
async fn follow(db: &PgPool, shutdown: &Shutdown, notes: impl Stream<Item = Vec<u8>>) {
    let mut notes = std::pin::pin!(notes);
    // What was told and could not be done yet.
    let mut open: Option<Uuid> = None;
    loop {
        let told = tokio::select! {
            () = shutdown.token.cancelled() => return,
            note = notes.next() => match note {
                Some(body) => read(&body).max(open),
                None => return,
            },
            () = sleep(TRY_AGAIN_AFTER), if open.is_some() => open,
        };
        let Some(before) = told else { continue };
        open = match drop_days(db, before).await {
            Ok(days) => {
                for day in days {
                    tracing::info!(%day, "barrier rows of a day whose sagas are gone were dropped");
                }
                None
            }
            Err(error) if is_refused(&error) => {
                tracing::error!(%error, %before, "a note about sagas that are gone is not believed");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "barrier rows whose sagas are gone were not dropped; trying again in a minute");
                Some(before)
            }
        };
    }
}

/// The database keeps the last day whatever it is told (restrict_violation).
fn is_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some("23001")
}

/// The highest id that a note names; none when it cannot be read.
fn read(body: &[u8]) -> Option<Uuid> {
    match serde_json::from_slice::<Vec<SagasGone>>(body) {
        Ok(notes) => notes.into_iter().map(|note| note.before).max(),
        Err(error) => {
            tracing::warn!(%error, "a note about sagas that are gone cannot be read");
            None
        }
    }
}

/// Drops the days that lie before this id, oldest first.
async fn drop_days(db: &PgPool, before: Uuid) -> Result<Vec<Date>, sqlx::Error> {
    let mut dropped = Vec::new();
    loop {
        let mut tx = db.begin().await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await?;
        let day: Option<Date> =
            sqlx::query_scalar("select drop_oldest_day_of_barrier($1)").bind(before).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        match day {
            Some(day) => dropped.push(day),
            None => return Ok(dropped),
        }
    }
}

#[cfg(test)]
mod tests;
