//! P4: whoever cancels a paid order has all of the money back.
//!
//! Cancellations are read first: the money goes back before a cancellation is completed and not after.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P4",
    name: "cancelled_orders_are_paid_back",
    says: "Of an order that was cancelled after it was paid, all that was captured has been refunded.",
    first: Side {
        service: "order",
        sql: r"
            select o.checkout_id, jsonb_build_object('order', o.id, 'cancellation', c.id)
            from order_cancellation c join orders o on o.id = c.order_id
            where c.status = 'completed' order by o.checkout_id
        ",
    },
    second: Side {
        service: "payment",
        sql: r"
            select saga_id, jsonb_build_object('captured_minor', captured_minor, 'refunded_minor', refunded_minor)
            from payment_intent where saga_id is not null order by saga_id
        ",
    },
    second_kept_since: None,
    judge,
};

fn judge(cancelled: Option<&Value>, payment: Option<&Value>) -> Option<Value> {
    let cancelled = cancelled?;
    let right = payment.is_some_and(|payment| payment["captured_minor"] == payment["refunded_minor"]);
    (!right).then(|| json!({"cancelled": cancelled, "payment": payment}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_order_keeps_nothing() {
        let cancelled = json!({"order": "o", "cancellation": "c"});
        let payment = |refunded: i64| json!({"captured_minor": 500, "refunded_minor": refunded});
        assert!(judge(Some(&cancelled), Some(&payment(500))).is_none());
        assert!(judge(Some(&cancelled), Some(&payment(499))).is_some() && judge(Some(&cancelled), None).is_some());
        assert!(judge(None, Some(&payment(0))).is_none(), "an order that stands");
    }
}
