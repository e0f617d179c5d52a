//! The pretend carrier: what is announced ships some time later, and whoever announced it is told until he listens.

use std::{collections::BTreeMap, time::Duration};

use makegood_chassis::shutdown::Shutdown;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::callback_client::CallbackClient;

/// Parcels shipped in one statement, and events in one callback.
const MAX_SHIPPED: i64 = 1_000;
const MAX_EVENTS: usize = 250;
/// Events that are being told are nobody else's for this long: several callbacks that all time out.
const LEASE_SECONDS: f64 = 90.0;
/// Between rounds when nothing was due.
const IDLE_DELAY: Duration = Duration::from_millis(200);

/// A parcel as its sender announces it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Announcement {
    /// The sender's own id; announcing it again changes nothing.
    pub(crate) shipment_id: String,
    pub(crate) shipping_method: String,
    /// Where its events go.
    pub(crate) callback_url: String,
}

/// Stores what is new. For a parcel that has shipped, its event is told again.
pub(crate) async fn announce(
    db: &PgPool,
    announcements: &[Announcement],
    ship_after: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"insert into carrier_shipment as s (shipment_id, shipping_method, callback_url, ship_at)
          select distinct on (a.shipment_id) a.shipment_id, a.shipping_method, a.callback_url, now() + make_interval(secs => $4)
          from unnest($1::text[], $2::text[], $3::text[]) as a (shipment_id, shipping_method, callback_url)
          order by a.shipment_id
          on conflict (shipment_id) do update set callback_due_at = now(), callback_attempts = 0
          where s.shipped_at is not null",
    )
    .bind(announcements.iter().map(|one| one.shipment_id.as_str()).collect::<Vec<_>>())
    .bind(announcements.iter().map(|one| one.shipping_method.as_str()).collect::<Vec<_>>())
    .bind(announcements.iter().map(|one| one.callback_url.as_str()).collect::<Vec<_>>())
    .bind(ship_after.as_secs_f64())
    .execute(db)
    .await?;
    Ok(())
}

/// Ships and tells in rounds until shutdown.
pub(crate) async fn run(db: PgPool, shutdown: Shutdown, client: CallbackClient) -> anyhow::Result<()> {
    while !shutdown.has_begun() {
        let done = work_once(&db, &client).await.unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "the carrier's books could not be read; trying again");
            0
        });
        if done == 0 {
            shutdown.pause(IDLE_DELAY).await;
        }
    }
    Ok(())
}

/// One round: ships what is due and tells of it, and tells again what was not taken. Returns how many events were sent.
async fn work_once(db: &PgPool, client: &CallbackClient) -> anyhow::Result<usize> {
    let mut due = ship_due(db).await?;
    due.extend(take_untold(db).await?);
    let told = due.len();
    tell(db, client, due).await?;
    Ok(told)
}

/// Ships what is due. Its events are this process's to tell, as [`take_untold`] has it.
async fn ship_due(db: &PgPool) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as(
        // A parcel's tracking number is a function of its id: it cannot get two.
        r"update carrier_shipment
          set shipped_at = now(), tracking_number = 'MG' || upper(left(md5(shipment_id), 16)),
              callback_due_at = now() + make_interval(secs => $1), callback_attempts = 1
          where shipment_id in (select shipment_id from carrier_shipment where shipped_at is null and ship_at <= now()
                                order by ship_at limit $2 for update skip locked)
          returning shipment_id, callback_url, tracking_number, shipped_at",
    )
    .bind(LEASE_SECONDS)
    .bind(MAX_SHIPPED)
    .fetch_all(db)
    .await
}

#[derive(Debug, Serialize)]
struct Event {
    event_id: String,
    shipment_id: String,
    status: &'static str,
    tracking_number: String,
    #[serde(with = "time::serde::rfc3339")]
    occurred_at: OffsetDateTime,
}

#[derive(Serialize)]
struct Events<'a> {
    events: &'a [Event],
}

/// Sends events to where they go, and notes which were taken.
async fn tell(db: &PgPool, client: &CallbackClient, due: Vec<Due>) -> anyhow::Result<()> {
    let mut by_url: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for due in due {
        let (url, event) = due.into_event();
        by_url.entry(url).or_default().push(event);
    }
    for (url, events) in &by_url {
        for events in events.chunks(MAX_EVENTS) {
            let sent = client.post(url, serde_json::to_vec(&Events { events })?).await;
            if let Err(error) = &sent {
                tracing::debug!(
                    url,
                    error = format!("{error:#}"),
                    "a carrier's callback was not taken; it is sent again"
                );
            }
            finish(db, events, sent.is_ok()).await?;
        }
    }
    Ok(())
}

/// A parcel that has shipped, and of which its sender is to be told.
#[derive(sqlx::FromRow)]
struct Due {
    shipment_id: String,
    callback_url: String,
    tracking_number: String,
    shipped_at: OffsetDateTime,
}

impl Due {
    /// Where it goes, and the event. Its id is a function of its parcel: told again, it is the same event.
    fn into_event(self) -> (String, Event) {
        let Self { shipment_id, callback_url, tracking_number, shipped_at } = self;
        let event_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{shipment_id}:shipped").as_bytes()).to_string();
        (callback_url, Event { event_id, shipment_id, status: "shipped", tracking_number, occurred_at: shipped_at })
    }
}

/// Leases events that are due to be told again.
async fn take_untold(db: &PgPool) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as(
        r"update carrier_shipment
          set callback_due_at = now() + make_interval(secs => $1), callback_attempts = callback_attempts + 1
          where shipment_id in (select shipment_id from carrier_shipment where callback_due_at <= now()
                                order by callback_due_at limit $2 for update skip locked)
          returning shipment_id, callback_url, tracking_number, shipped_at",
    )
    .bind(LEASE_SECONDS)
    .bind(MAX_SHIPPED)
    .fetch_all(db)
    .await
}

/// What was not taken is sent again: after 2 s, then twice as long each time, at most a minute. A parcel that was announced again meanwhile
/// (no attempt since) is told once more, whatever became of this one.
async fn finish(db: &PgPool, events: &[Event], taken: bool) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"update carrier_shipment
          set callback_due_at = case when not $2 then now() + make_interval(secs => least(60, 2 ^ least(callback_attempts, 6))) end
          where shipment_id = any($1) and callback_attempts > 0",
    )
    .bind(events.iter().map(|event| event.shipment_id.as_str()).collect::<Vec<_>>())
    .bind(taken)
    .execute(db)
    .await?;
    Ok(())
}
