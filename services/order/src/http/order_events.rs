//! `GET /v1/orders/{order}/events`: what has happened to an order, as it happens (server-sent events).
//!
//! Events are read off the log table by the order's version, so a client that comes back with `Last-Event-ID` misses
//! nothing. A stream holds no connection to the database while it waits.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::Stream;
use http::{HeaderMap, StatusCode};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::{
    account::Account,
    id::{CheckoutId, EventId, OrderId, ReturnId},
    money::{Money, MoneyJson},
    order::OrderChanged,
};
use serde::Serialize;
use serde_json::Value;
use sqlx::types::Json;
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Shared;

/// An order changes a handful of times; a second's delay is the price of streams that cost next to nothing.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Below the idle timeouts of common proxies.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events read at once; an order has a few, many shipments make more.
const MAX_EVENTS: i64 = 100;

/// One event of an order, as it is sent in `data`.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderEvent)]
pub(super) struct OrderEventJson {
    #[schema(value_type = String, example = "evt_0198f0c2a3b47c5d8e9f0a1b2c3d4e62")]
    id: EventId,
    /// `order.opened`, `order.completed`, `order.failed`, `order.expired`, `order.cancelled`, `order.shipped`,
    /// `order.cancel_requested`, `order.cancel_refused`, `order.return_requested`, `order.returned` or `order.return_ended`.
    name: String,
    #[schema(value_type = String)]
    order_id: OrderId,
    #[schema(value_type = String)]
    checkout_id: CheckoutId,
    version: i64,
    status: String,
    fulfillment_status: String,
    return_status: String,
    #[schema(value_type = MoneyJson)]
    total: Money,
    reference: Option<String>,
    /// The return that it is about.
    #[schema(value_type = Option<String>)]
    return_id: Option<ReturnId>,
    failure_code: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    occurred_at: OffsetDateTime,
}

#[derive(sqlx::FromRow)]
struct LoggedEvent {
    id: Uuid,
    name: String,
    version: i64,
    data: Json<Value>,
    occurred_at: OffsetDateTime,
}

/// The events of an order from the first, or after `Last-Event-ID`, and then as they happen.
#[utoipa::path(
    get,
    path = "/v1/orders/{order}/events",
    tag = "orders",
    params(
        ("order" = String, Path, description = "The order's id"),
        ("Last-Event-ID" = Option<i64>, Header, description = "The version after which to go on"),
    ),
    responses(
        (status = 200, description = "A stream; each event's id is the order's version", content_type = "text/event-stream", body = OrderEventJson),
        (status = 404, description = "There is no order of this id"),
        (status = 429, description = "Too many streams"),
    )
)]
pub(super) async fn order_events(
    State(shared): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Path(order): Path<OrderId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    caller.require(Scope::Storefront)?;
    let version = last_event_id(&headers)?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from orders where id = $1 and account_id = $2 and livemode = $3)")
            .bind(order.uuid())
            .bind(caller.account.id)
            .bind(caller.account.livemode)
            .fetch_one(&shared.http.db)
            .await?;
    if !exists {
        return Err(Problem::not_found("order", order));
    }
    let place = shared.stream_places.try_acquire_owned().map_err(|_| Problem::overloaded())?;
    let follower =
        Follower { http: shared.http, account: caller.account, order, version, unsent: VecDeque::new(), _place: place };
    let stream = futures::stream::unfold(follower, async |mut follower| {
        follower.next().await.map(|event| (Ok(event), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

fn last_event_id(headers: &HeaderMap) -> Result<i64, Problem> {
    let Some(given) = headers.get("last-event-id") else { return Ok(0) };
    let version = given.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(|version| *version >= 0);
    version.ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-last-event-id",
            "Invalid Last-Event-ID",
            "It is the id of an event of this stream: a number.",
        )
    })
}

/// One client's place in one order's log.
struct Follower {
    http: HttpContext,
    account: Account,
    order: OrderId,
    /// Of the last event that was sent or waits to be.
    version: i64,
    unsent: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event; none at shutdown or when the log cannot be read: the client comes back by itself.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.unsent.pop_front() {
                return Some(event);
            }
            match self.read().await {
                Ok(()) if self.unsent.is_empty() => {
                    if !self.http.shutdown.pause(LOOK_INTERVAL).await {
                        return None;
                    }
                }
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(order = %self.order, error = format!("{error:#}"), "ending a stream of order events");
                    return None;
                }
            }
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let logged: Vec<LoggedEvent> = sqlx::query_as(
            r#"
            select id, name, version, data, occurred_at from event_log
            where account_id = $1 and livemode = $2 and subject = $3 and version > $4 and name like 'order.%'
            order by version limit $5
            "#,
        )
        .bind(self.account.id)
        .bind(self.account.livemode)
        .bind(self.order.to_string())
        .bind(self.version)
        .bind(MAX_EVENTS)
        .fetch_all(&self.http.db)
        .await?;
        for event in logged {
            self.version = event.version;
            self.unsent.push_back(sse_event(event)?);
        }
        Ok(())
    }
}

fn sse_event(logged: LoggedEvent) -> anyhow::Result<Event> {
    let changed: OrderChanged = serde_json::from_value(logged.data.0)?;
    let json = OrderEventJson {
        id: EventId::from_uuid(logged.id),
        name: logged.name,
        order_id: OrderId::from_uuid(changed.order_id),
        checkout_id: CheckoutId::from_uuid(changed.checkout_id),
        version: logged.version,
        status: changed.status,
        fulfillment_status: changed.fulfillment_status,
        return_status: changed.return_status,
        total: changed.total,
        reference: changed.reference,
        return_id: changed.return_id.map(ReturnId::from_uuid),
        failure_code: changed.failure_code,
        occurred_at: logged.occurred_at,
    };
    Ok(Event::default().id(json.version.to_string()).event(json.name.clone()).json_data(&json)?)
}
