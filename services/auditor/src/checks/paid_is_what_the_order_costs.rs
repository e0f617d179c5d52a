//! P4: a completed order is paid to the penny, and one that came to nothing keeps no money.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

/// Decided checkouts are read first: money moves before a checkout is decided and not after, but for refunds.
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P4",
    name: "paid_is_what_the_order_costs",
    says: "A completed order's payment captured exactly the order's total; of a failed, cancelled or expired one nothing is authorized or kept.",
    first: Side {
        service: "order",
        sql: r"
            select c.id, jsonb_build_object('checkout', c.status, 'order', o.id, 'total_minor', o.total_minor, 'currency', o.currency)
            from checkout c left join orders o on o.id = c.order_id
            where c.decided_at is not null order by c.id
        ",
    },
    second: Side {
        service: "payment",
        sql: r"
            select saga_id, jsonb_build_object('payment', state, 'order', order_id, 'captured_minor', captured_minor,
                'refunded_minor', refunded_minor, 'currency', currency)
            from payment_intent where saga_id is not null order by saga_id
        ",
    },
    second_kept_since: None,
    judge,
};

fn judge(checkout: Option<&Value>, payment: Option<&Value>) -> Option<Value> {
    let checkout = checkout?;
    let right = match (checkout["checkout"].as_str(), payment) {
        (Some("completed"), Some(payment)) => {
            payment["payment"] == "succeeded"
                && ["order", "currency"].iter().all(|field| payment[field] == checkout[field])
                && payment["captured_minor"] == checkout["total_minor"]
        }
        (Some("completed"), None) => false,
        (_, Some(payment)) => {
            let ended = payment["payment"] == "canceled" || payment["payment"] == "failed";
            payment["captured_minor"] == payment["refunded_minor"] && (ended || payment["captured_minor"] != 0)
        }
        (_, None) => true,
    };
    (!right).then(|| json!({"checkout": checkout, "payment": payment}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completed_is_paid_and_everything_else_is_not() {
        let checkout = |status: &str| json!({"checkout": status, "order": "o", "total_minor": 500, "currency": "GBP"});
        let payment = |state: &str, captured: i64, refunded: i64| json!({"payment": state, "order": "o", "captured_minor": captured, "refunded_minor": refunded, "currency": "GBP"});
        let wrong = |status: &str, payment: Option<Value>| judge(Some(&checkout(status)), payment.as_ref()).is_some();
        assert!(
            !wrong("completed", Some(payment("succeeded", 500, 0)))
                && !wrong("completed", Some(payment("succeeded", 500, 100)))
        );
        assert!(wrong("completed", Some(payment("succeeded", 499, 0))) && wrong("completed", None));
        assert!(wrong("completed", Some(payment("requires_capture", 0, 0))));
        for status in ["failed", "expired", "cancelled"] {
            assert!(
                !wrong(status, None)
                    && !wrong(status, Some(payment("canceled", 0, 0)))
                    && !wrong(status, Some(payment("failed", 0, 0)))
            );
            assert!(!wrong(status, Some(payment("succeeded", 500, 500))), "given back in full");
            assert!(
                wrong(status, Some(payment("requires_capture", 0, 0)))
                    && wrong(status, Some(payment("succeeded", 500, 0)))
            );
        }
        let other_currency = json!({"payment": "succeeded", "order": "o", "captured_minor": 500, "refunded_minor": 0, "currency": "EUR"});
        assert!(wrong("completed", Some(other_currency)));
    }
}
