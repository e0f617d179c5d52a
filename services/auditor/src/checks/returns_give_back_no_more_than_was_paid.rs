//! P4: however many returns an order has, together they give back no more than was paid for it.
//!
//! Ended returns are read first: by then payment has booked what they gave back.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P4",
    name: "returns_give_back_no_more_than_was_paid",
    says: "All returns of an order together give back no more than its payment has refunded, and that is no more than was captured.",
    first: Side {
        service: "order",
        sql: r"
            select o.checkout_id, jsonb_build_object('order', o.id, 'returned_minor', sum(r.refund_minor))
            from order_return r join orders o on o.id = r.order_id
            where r.ended_at is not null and r.status = 'completed' and r.refund_minor > 0
            group by o.checkout_id, o.id order by o.checkout_id
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

fn judge(order: Option<&Value>, payment: Option<&Value>) -> Option<Value> {
    let order = order?;
    let minor = |of: &Value, field: &str| of[field].as_i64();
    let right = payment.is_some_and(|payment| {
        let (captured, refunded) = (minor(payment, "captured_minor"), minor(payment, "refunded_minor"));
        minor(order, "returned_minor") <= refunded && refunded <= captured && refunded.is_some()
    });
    (!right).then(|| json!({"order": order, "payment": payment}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_gives_back_more_than_was_paid() {
        let order = json!({"order": "o", "returned_minor": 500});
        let wrong = |captured: i64, refunded: i64| {
            judge(Some(&order), Some(&json!({"captured_minor": captured, "refunded_minor": refunded}))).is_some()
        };
        assert!(!wrong(500, 500) && !wrong(900, 600), "an operator may have given back some more");
        assert!(wrong(500, 499), "less was refunded than the returns say");
        assert!(wrong(499, 500), "more went back than came");
        assert!(judge(Some(&order), None).is_some() && judge(None, None).is_none());
    }
}
