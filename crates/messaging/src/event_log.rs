//! Domain events: written in the transaction that makes them true, published by a relay, applied by whoever cares.

mod apply;
mod gauges;
mod relay;
mod restored;
mod room;

use makegood_contracts::account::Account;
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

pub use apply::apply;
pub use relay::relay;
pub(crate) use room::mark;

/// An event as the emitting transaction knows it; id, time and position are given when it is written.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// `noun.past_participle`.
    pub name: &'static str,
    pub account: Account,
    pub subject: String,
    pub version: i64,
    pub data: Value,
}

/// Writes events in the caller's transaction. The same event twice (name, subject, version) is written once.
pub async fn record(conn: &mut PgConnection, events: &[NewEvent]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r"insert into event_log (id, name, account_id, livemode, subject, version, data)
          select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::bool[], $5::text[], $6::bigint[], $7::jsonb[])
          on conflict on constraint event_log_version do nothing",
    )
    .bind(events.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.name).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.account.id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.account.livemode).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.version).collect::<Vec<_>>())
    .bind(events.iter().map(|event| Json(&event.data)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
