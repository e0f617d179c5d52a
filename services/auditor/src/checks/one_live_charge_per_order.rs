//! P1: however often a checkout is sent, the provider has charged for it once.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

/// Checkouts are read first: a charge that is seen then belongs to one that was accepted before.
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P1",
    name: "one_live_charge_per_order",
    says: "At the provider, an order has one charge at most that is authorized or captured, for no more than the order's total, and no charge is without its order.",
    first: Side {
        service: "order",
        sql: r"
            select c.order_id, jsonb_build_object('checkout', c.status, 'total_minor', c.opened_total_minor, 'currency', c.currency)
            from checkout c order by c.order_id
        ",
    },
    second: Side {
        service: "sandbox",
        sql: r"
            select order_id, jsonb_build_object(
                'live', count(*) filter (where state = 'authorized' or captured_minor > refunded_minor),
                'kept_minor', sum(captured_minor - refunded_minor),
                'authorized_minor', coalesce(max(authorized_minor) filter (where state in ('authorized', 'captured')), 0),
                'currency', min(currency))
            from charge where order_id is not null group by order_id order by order_id
        ",
    },
    second_kept_since: None,
    judge,
};

fn judge(checkout: Option<&Value>, charges: Option<&Value>) -> Option<Value> {
    let charges = charges?;
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let live = number(&charges["live"]);
    let right = match checkout {
        Some(checkout) => {
            let total = number(&checkout["total_minor"]);
            let within = number(&charges["kept_minor"]) <= total && number(&charges["authorized_minor"]) <= total;
            live <= 1 && (live == 0 || within && charges["currency"] == checkout["currency"])
        }
        None => live == 0,
    };
    (!right).then(|| json!({"checkout": checkout, "provider": charges}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_charge_an_excess_and_a_charge_for_nothing_are_found() {
        let checkout = json!({"checkout": "completed", "total_minor": 500, "currency": "GBP"});
        let charges = |live: i64, kept: i64, authorized: i64| json!({"live": live, "kept_minor": kept, "authorized_minor": authorized, "currency": "GBP"});
        let wrong = |charges: Value| judge(Some(&checkout), Some(&charges)).is_some();
        assert!(!wrong(charges(1, 500, 500)) && !wrong(charges(1, 0, 500)) && !wrong(charges(0, 0, 0)));
        assert!(wrong(charges(2, 500, 500)) && wrong(charges(1, 501, 500)) && wrong(charges(1, 0, 501)));
        assert!(wrong(json!({"live": 1, "kept_minor": 500, "authorized_minor": 500, "currency": "EUR"})));
        assert!(judge(None, Some(&charges(1, 500, 500))).is_some() && judge(None, Some(&charges(0, 0, 0))).is_none());
        assert!(judge(Some(&checkout), None).is_none());
    }
}
