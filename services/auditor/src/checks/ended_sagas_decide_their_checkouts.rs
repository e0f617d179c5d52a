//! P3 and P8: how a saga ended is what the buyer is told.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

/// A saga ends only after `order.close_checkout` has answered, so an ended saga's checkout is decided.
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P8",
    name: "ended_sagas_decide_their_checkouts",
    says: "A checkout is completed when its saga completed, and failed, expired or cancelled when it was compensated.",
    first: Side {
        service: "orchestrator",
        sql: r"
            select id, jsonb_build_object('saga', state) from every_saga
            where definition = 'checkout' and finished_at is not null order by id
        ",
    },
    second: Side {
        service: "order",
        sql: r"
            select c.id, jsonb_build_object('checkout', c.status, 'order', o.status)
            from checkout c left join orders o on o.id = c.order_id order by c.id
        ",
    },
    second_kept_since: None,
    judge,
};

fn judge(saga: Option<&Value>, checkout: Option<&Value>) -> Option<Value> {
    let saga = saga?;
    let told = checkout.and_then(|checkout| checkout["checkout"].as_str());
    let order = checkout.and_then(|checkout| checkout["order"].as_str());
    let right = match (saga["saga"].as_str(), told) {
        (Some("completed"), Some("completed")) => order.is_some(),
        // Refused before it opened, a checkout never had an order.
        (Some("compensated"), Some("failed" | "expired" | "cancelled")) => {
            order.is_none_or(|order| order != "completed" && order != "pending")
        }
        _ => false,
    };
    (!right).then(|| json!({"saga": saga["saga"], "checkout": told, "order": order}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buyer_is_told_how_the_saga_ended() {
        let wrong = |saga: &str, checkout: &str, order: Option<&str>| {
            judge(Some(&json!({"saga": saga})), Some(&json!({"checkout": checkout, "order": order}))).is_some()
        };
        assert!(!wrong("completed", "completed", Some("completed")) && !wrong("compensated", "failed", None));
        assert!(!wrong("compensated", "expired", Some("expired")));
        assert!(wrong("completed", "processing", Some("pending")) && wrong("completed", "completed", None));
        assert!(
            wrong("compensated", "completed", Some("completed")) && wrong("compensated", "failed", Some("pending"))
        );
        assert!(judge(Some(&json!({"saga": "completed"})), None).is_some());
        assert!(judge(None, Some(&json!({"checkout": "open"}))).is_none());
    }
}
