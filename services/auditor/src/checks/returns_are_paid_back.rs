//! P4: an ended return's refund is what the return says, and of a return that came to nothing nothing was refunded.
//!
//! Ended returns are read first: the money goes back before a return ends and not after. What our books have is held against the
//! provider's by `operations_are_what_the_provider_did`, operation by operation.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

/// Returns come under the refund that their saga has told, or else under their own id, by which refunds of returns are made. One
/// refund that was made by hand may stand for several. Where an operator had given back a part before, what was left went back: less than
/// the returns say, or with an earlier refund that stands for them; but then all of the payment is back.
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P4",
    name: "returns_are_paid_back",
    says: "Of each return that has ended, exactly what it says has been refunded from its order's payment, or all that was left, and of one that came to nothing nothing.",
    first: Side {
        service: "order",
        sql: r"
            select coalesce(r.refund_id, r.id), jsonb_build_object('returns', jsonb_agg(r.id), 'checkout', (array_agg(o.checkout_id))[1],
                'refund_minor', sum(case when r.status = 'completed' then r.refund_minor else 0 end), 'currency', min(o.currency))
            from order_return r join orders o on o.id = r.order_id
            where r.ended_at is not null group by 1 order by 1
        ",
    },
    second: Side {
        service: "payment",
        sql: r"
            select o.refund_id, jsonb_build_object('state', o.state, 'amount_minor', o.amount_minor, 'checkout', o.intent_id, 'currency', i.currency,
                'refund', o.refund_id, 'all_is_back', i.captured_minor = i.refunded_minor)
            from payment_operation o join payment_intent i on i.id = o.intent_id
            where o.refund_id is not null order by o.refund_id
        ",
    },
    second_kept_since: None,
    judge,
};

fn judge(returned: Option<&Value>, refund: Option<&Value>) -> Option<Value> {
    let returned = returned?;
    let right = match refund {
        _ if returned["refund_minor"] == 0 => refund.is_none_or(|refund| refund["state"] == "declined"),
        Some(refund) => {
            refund["state"] == "succeeded"
                && (refund["amount_minor"] == returned["refund_minor"] || is_what_was_left(returned, refund))
                && ["checkout", "currency"].iter().all(|field| refund[field] == returned[field])
        }
        None => false,
    };
    (!right).then(|| json!({"returned": returned, "refund": refund}))
}

/// Less than the returns say, or an earlier refund of more that was not made for any of them; and nothing of the payment is kept.
fn is_what_was_left(returned: &Value, refund: &Value) -> bool {
    let is_less = refund["amount_minor"].as_i64() < returned["refund_minor"].as_i64();
    let is_their_own = returned["returns"].as_array().is_some_and(|returns| returns.contains(&refund["refund"]));
    refund["all_is_back"] == true && (is_less || !is_their_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_gives_back_what_it_says_and_once() {
        let returned =
            |minor: i64| json!({"returns": ["r"], "checkout": "c", "refund_minor": minor, "currency": "GBP"});
        let refund = |state: &str, minor: i64, checkout: &str| json!({"state": state, "amount_minor": minor, "checkout": checkout, "currency": "GBP"});
        let wrong = |returned: Value, refund: Option<Value>| judge(Some(&returned), refund.as_ref()).is_some();
        assert!(!wrong(returned(500), Some(refund("succeeded", 500, "c"))));
        assert!(wrong(returned(500), None) && wrong(returned(500), Some(refund("succeeded", 499, "c"))));
        assert!(wrong(returned(500), Some(refund("unknown", 500, "c"))), "an ended return's refund is decided");
        assert!(wrong(returned(500), Some(refund("succeeded", 500, "another"))), "of its own order's payment");
        assert!(!wrong(returned(0), None) && !wrong(returned(0), Some(refund("declined", 500, "c"))));
        assert!(wrong(returned(0), Some(refund("succeeded", 500, "c"))), "it came to nothing");
        let left = |minor: i64, all_is_back: bool, of: &str| json!({"state": "succeeded", "amount_minor": minor, "checkout": "c", "currency": "GBP", "all_is_back": all_is_back, "refund": of});
        assert!(!wrong(returned(500), Some(left(499, true, "r"))), "an operator gave back the rest before");
        assert!(wrong(returned(500), Some(left(499, false, "r"))), "the rest is still here");
        assert!(!wrong(returned(500), Some(left(501, true, "another"))), "an earlier refund gave back everything");
        assert!(wrong(returned(500), Some(left(501, true, "r"))), "no return's own refund is more than it says");
        assert!(
            judge(None, Some(&refund("succeeded", 500, "c"))).is_none(),
            "a return on its way, or an operator's refund"
        );
    }
}
