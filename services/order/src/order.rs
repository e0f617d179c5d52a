//! The rules of an order: how it ends with its checkout, and how far it is on its way. No I/O, no clock.

use makegood_contracts::order;
use uuid::Uuid;

use crate::checkout::Status;

/// The order's status for its checkout's: pending until that is decided, then the same word.
pub(crate) const fn status_for(checkout: Status) -> &'static str {
    if checkout.is_final() { checkout.as_str() } else { "pending" }
}

/// The event that tells of an order's end; none while its checkout is under way.
pub(crate) const fn closing_event(checkout: Status) -> Option<&'static str> {
    match checkout {
        Status::Completed => Some(order::ORDER_COMPLETED),
        Status::Failed => Some(order::ORDER_FAILED),
        Status::Expired => Some(order::ORDER_EXPIRED),
        Status::Cancelled => Some(order::ORDER_CANCELLED),
        Status::Accepted | Status::Open | Status::Processing | Status::RequiresAction => None,
    }
}

/// The statuses that a list of orders can be filtered by.
pub(crate) const STATUSES: [&str; 5] = ["pending", "completed", "failed", "cancelled", "expired"];

/// How much of an order has left the warehouses. Without a plan, the first shipment is taken for all of it.
pub(crate) fn fulfillment_status(planned: Option<&[Uuid]>, shipped: &[Uuid]) -> &'static str {
    if shipped.is_empty() {
        return "unfulfilled";
    }
    match planned {
        Some(planned) if !planned.iter().all(|id| shipped.contains(id)) => "partially_shipped",
        Some(_) | None => "shipped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_pending_until_its_checkout_is_decided() {
        for status in Status::ALL {
            assert!(STATUSES.contains(&status_for(status)), "{status}");
            assert_eq!(status_for(status) == "pending", !status.is_final(), "{status}");
            assert_eq!(closing_event(status).is_some(), status.is_final(), "{status}");
        }
    }

    #[test]
    fn an_order_is_shipped_when_its_last_planned_shipment_has_left() {
        let [first, second] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let both = Some(vec![first, second]);
        let table = [
            (None, vec![], "unfulfilled"),
            (None, vec![first], "shipped"),
            (both.clone(), vec![], "unfulfilled"),
            (both.clone(), vec![second], "partially_shipped"),
            (both, vec![second, first], "shipped"),
            (Some(vec![first]), vec![first, second], "shipped"),
        ];
        for (planned, shipped, expected) in table {
            assert_eq!(fulfillment_status(planned.as_deref(), &shipped), expected, "{planned:?} {shipped:?}");
        }
    }
}
