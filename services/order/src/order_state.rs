//! The part of an order that changes, as the statements that change it return it, and the event that tells of it.

use anyhow::Context as _;
use makegood_contracts::{account::Account, id::OrderId, money::Money, order::OrderChanged};
use makegood_messaging::event_log::NewEvent;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use uuid::Uuid;

use crate::order;

/// The columns of [`OrderState`].
macro_rules! order_state_columns {
    () => {
        "orders.id, orders.checkout_id, orders.account_id, orders.livemode, orders.status, orders.fulfillment_status, \
         orders.return_status, orders.total_minor, orders.currency, orders.reference, orders.planned_shipments, orders.shipments, orders.version"
    };
}
pub(crate) use order_state_columns;

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct OrderState {
    pub(crate) id: Uuid,
    pub(crate) checkout_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) livemode: bool,
    pub(crate) status: String,
    pub(crate) fulfillment_status: String,
    pub(crate) return_status: String,
    pub(crate) total_minor: i64,
    pub(crate) currency: String,
    pub(crate) reference: Option<String>,
    pub(crate) planned_shipments: Option<Json<Vec<Uuid>>>,
    pub(crate) shipments: Json<Vec<LeftShipment>>,
    /// Of the order and of its events.
    pub(crate) version: i64,
}

/// A shipment that has left, as the order's row has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftShipment {
    pub(crate) id: Uuid,
    pub(crate) tracking_number: String,
}

impl OrderState {
    /// How much has left, by what is known now.
    pub(crate) fn fulfillment(&self) -> &'static str {
        let shipped: Vec<Uuid> = self.shipments.iter().map(|shipment| shipment.id).collect();
        order::fulfillment_status(self.planned_shipments.as_ref().map(|planned| planned.0.as_slice()), &shipped)
    }

    /// The event of the change that led to this state; its version is the order's.
    pub(crate) fn changed(&self, name: &'static str, failure_code: Option<&str>) -> anyhow::Result<NewEvent> {
        self.event(name, None, failure_code)
    }

    /// The same, of a change that is about one of its returns.
    pub(crate) fn return_changed(
        &self,
        name: &'static str,
        return_id: Uuid,
        failure_code: Option<&str>,
    ) -> anyhow::Result<NewEvent> {
        self.event(name, Some(return_id), failure_code)
    }

    fn event(
        &self,
        name: &'static str,
        return_id: Option<Uuid>,
        failure_code: Option<&str>,
    ) -> anyhow::Result<NewEvent> {
        let total = Money::from_columns(self.total_minor, &self.currency);
        let data = OrderChanged {
            order_id: self.id,
            checkout_id: self.checkout_id,
            status: self.status.clone(),
            fulfillment_status: self.fulfillment_status.clone(),
            return_status: self.return_status.clone(),
            total: total.with_context(|| format!("reading the total of order {}", self.id))?,
            reference: self.reference.clone(),
            return_id,
            failure_code: failure_code.map(str::to_owned),
        };
        Ok(NewEvent {
            name,
            account: Account { id: self.account_id, livemode: self.livemode },
            subject: OrderId::from_uuid(self.id).to_string(),
            version: self.version,
            data: serde_json::to_value(data).context("encoding an order's event")?,
        })
    }
}
