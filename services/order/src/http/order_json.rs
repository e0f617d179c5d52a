//! An order as it is read, and its row.

use anyhow::Context as _;
use makegood_contracts::{
    cart::PricedLine,
    id::{CancellationId, CheckoutId, OrderId, ShipmentId},
    money::{Money, MoneyJson},
};
use serde::Serialize;
use sqlx::types::Json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::order_state::LeftShipment;

/// The columns of [`OrderRow`].
macro_rules! order_columns {
    () => {
        "id, checkout_id, email, status, fulfillment_status, return_status, total_minor, currency, lines, reference, shipments, version, created_at, \
         (select jsonb_build_object('id', c.id, 'status', c.status, 'failure_code', c.failure_code) \
          from order_cancellation c where c.order_id = orders.id order by c.id desc limit 1) as cancellation"
    };
}
pub(super) use order_columns;

#[derive(sqlx::FromRow)]
pub(super) struct OrderRow {
    pub(super) id: Uuid,
    checkout_id: Uuid,
    email: String,
    status: String,
    fulfillment_status: String,
    return_status: String,
    total_minor: i64,
    currency: String,
    lines: Json<Vec<PricedLine>>,
    reference: Option<String>,
    shipments: Json<Vec<LeftShipment>>,
    pub(super) version: i64,
    created_at: OffsetDateTime,
    cancellation: Option<Json<CancellationColumns>>,
}

/// The newest cancellation, as the row has it.
#[derive(serde::Deserialize)]
struct CancellationColumns {
    id: Uuid,
    status: String,
    failure_code: Option<String>,
}

/// An order.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub(super) struct OrderJson {
    #[schema(value_type = String, example = "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e60")]
    id: OrderId,
    #[schema(value_type = String, example = "chk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    checkout_id: CheckoutId,
    /// `pending`, `completed`, `failed`, `cancelled` or `expired`.
    status: String,
    /// `unfulfilled`, `partially_shipped` or `shipped`.
    fulfillment_status: String,
    /// `none`, `partially_returned` or `returned`.
    return_status: String,
    /// The customer's e-mail address.
    customer: String,
    lines: Vec<LineJson>,
    #[schema(value_type = MoneyJson)]
    total: Money,
    reference: Option<String>,
    /// The shipments that have left.
    shipments: Vec<ShipmentJson>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// The newest wish to cancel it once it was completed; null if there was none.
    cancellation: Option<CancellationJson>,
    /// Grows by one with each change; the ETag is made of it.
    version: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderCancellation)]
struct CancellationJson {
    #[schema(value_type = String, example = "cnl_0198f0c2a3b47c5d8e9f0a1b2c3d4e62")]
    id: CancellationId,
    /// `requested`, `started`, `completed` or `refused`.
    status: String,
    /// Why it was refused, such as `shipment_handed_over`.
    failure_code: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderLine)]
struct LineJson {
    line: String,
    sku: String,
    title: String,
    quantity: i64,
    #[schema(value_type = MoneyJson)]
    unit_price: Money,
    #[schema(value_type = MoneyJson)]
    amount: Money,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderShipment)]
struct ShipmentJson {
    #[schema(value_type = String, example = "shp_0198f0c2a3b47c5d8e9f0a1b2c3d4e61")]
    id: ShipmentId,
    tracking_number: String,
}

impl OrderRow {
    /// Its JSON. A total or an amount that cannot be told means a damaged row.
    pub(super) fn into_json(self) -> anyhow::Result<OrderJson> {
        let id = OrderId::from_uuid(self.id);
        let total = Money::from_columns(self.total_minor, &self.currency)
            .with_context(|| format!("reading the total of {id}"))?;
        let lines = self.lines.0.into_iter().map(|line| line_json(line, total));
        let lines = lines.collect::<anyhow::Result<_>>().with_context(|| format!("reading the lines of {id}"))?;
        let shipments = self.shipments.0.into_iter().map(|shipment| ShipmentJson {
            id: ShipmentId::from_uuid(shipment.id),
            tracking_number: shipment.tracking_number,
        });
        Ok(OrderJson {
            id,
            checkout_id: CheckoutId::from_uuid(self.checkout_id),
            status: self.status,
            fulfillment_status: self.fulfillment_status,
            return_status: self.return_status,
            customer: self.email,
            lines,
            total,
            reference: self.reference,
            shipments: shipments.collect(),
            created_at: self.created_at,
            cancellation: self.cancellation.map(|Json(one)| CancellationJson {
                id: CancellationId::from_uuid(one.id),
                status: one.status,
                failure_code: one.failure_code,
            }),
            version: self.version,
        })
    }
}

/// Lines are in the currency of the total.
fn line_json(line: PricedLine, total: Money) -> anyhow::Result<LineJson> {
    let unit_price = Money::new(line.unit_price_minor, total.currency);
    let amount = unit_price.checked_mul(line.quantity)?;
    Ok(LineJson { line: line.line, sku: line.sku, title: line.title, quantity: line.quantity, unit_price, amount })
}
