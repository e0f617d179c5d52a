//! A shipment as it is shown, and the queries that the endpoints read it with.

use makegood_contracts::{
    account::Account,
    id::{OrderId, ShipmentId},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::untaken::{is_refused, is_unanswered};

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Shipment {
    #[schema(value_type = String, example = "shp_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    pub(crate) id: ShipmentId,
    #[schema(value_type = String, example = "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    order_id: OrderId,
    /// `created`, `released`, `shipped` or `cancelled`.
    pub(crate) status: String,
    warehouse: String,
    shipping_method: String,
    #[schema(value_type = Object)]
    shipping_address: serde_json::Value,
    pub(crate) lines: Vec<ShipmentLine>,
    pub(crate) tracking_number: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// When the carrier accepted it.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    handed_over_at: Option<OffsetDateTime>,
    /// Why the carrier will not have it, in its own words; it is asked again every ten minutes. Null once it took it.
    carrier_refusal: Option<String>,
    /// When it left, by the carrier's word.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    shipped_at: Option<OffsetDateTime>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct ShipmentLine {
    pub(crate) sku: String,
    pub(crate) quantity: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    order_id: Uuid,
    state: String,
    warehouse: String,
    shipping_method: String,
    address: serde_json::Value,
    lines: Json<Vec<ShipmentLine>>,
    tracking_number: Option<String>,
    created_at: OffsetDateTime,
    handed_over_at: Option<OffsetDateTime>,
    carrier_refusal: Option<String>,
    shipped_at: Option<OffsetDateTime>,
}

/// The columns of [`Row`], by name: with `*` a migration that adds one would break prepared statements.
macro_rules! shipment_columns {
    () => {
        "id, order_id, state, warehouse, shipping_method, address, lines, tracking_number, created_at, handed_over_at, \
         case when state = 'released' then carrier_refusal end as carrier_refusal, shipped_at"
    };
}

/// A shop's shipments of which this holds, the oldest first.
macro_rules! untaken_shipments {
    ($condition:expr) => {
        concat!(
            "select ",
            shipment_columns!(),
            " from shipment where account_id = $1 and livemode = $2 and ",
            $condition,
            " order by id limit $3"
        )
    };
}

/// Which shipments are wanted; each has its index.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    OfOrder(OrderId),
    One(ShipmentId),
    /// Those that the carrier refused.
    Refused,
    /// Those that it does not answer for.
    Unanswered,
}

/// So many of those that the carrier has not taken are shown; the others come when these are mended.
const UNTAKEN_MAX: i64 = 200;

const REFUSED: &str = untaken_shipments!(is_refused!());
const UNANSWERED: &str = untaken_shipments!(is_unanswered!());

/// A shop's shipments, the oldest first.
pub(crate) async fn find(db: &PgPool, account: Account, which: Which) -> Result<Vec<Shipment>, sqlx::Error> {
    let (order_id, id) = match which {
        Which::OfOrder(order_id) => (Some(order_id.uuid()), None),
        Which::One(id) => (None, Some(id.uuid())),
        Which::Refused => return find_untaken(db, account, REFUSED).await,
        Which::Unanswered => return find_untaken(db, account, UNANSWERED).await,
    };
    let rows: Vec<Row> = sqlx::query_as(concat!(
        "select ",
        shipment_columns!(),
        " from shipment where account_id = $1 and livemode = $2 and (order_id = $3 or id = $4) order by id"
    ))
    .bind(account.id)
    .bind(account.livemode)
    .bind(order_id)
    .bind(id)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Shipment::from).collect())
}

async fn find_untaken(db: &PgPool, account: Account, sql: &'static str) -> Result<Vec<Shipment>, sqlx::Error> {
    let rows: Vec<Row> =
        sqlx::query_as(sql).bind(account.id).bind(account.livemode).bind(UNTAKEN_MAX).fetch_all(db).await?;
    Ok(rows.into_iter().map(Shipment::from).collect())
}

impl From<Row> for Shipment {
    fn from(row: Row) -> Self {
        Self {
            id: ShipmentId::from_uuid(row.id),
            order_id: OrderId::from_uuid(row.order_id),
            status: row.state,
            warehouse: row.warehouse,
            shipping_method: row.shipping_method,
            shipping_address: row.address,
            lines: row.lines.0,
            tracking_number: row.tracking_number,
            created_at: row.created_at,
            handed_over_at: row.handed_over_at,
            carrier_refusal: row.carrier_refusal,
            shipped_at: row.shipped_at,
        }
    }
}
