//! P3 and P8: how the saga of a cancellation or a return ended is what the shop is told of it.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

/// Such a saga ends only after `order.end_cancel` or `order.end_return` has answered, unless an operator went on without that.
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P8",
    name: "ended_sagas_decide_their_order_changes",
    says: "A cancellation or return is completed when its saga completed, and came to nothing when it was compensated.",
    first: Side {
        service: "orchestrator",
        sql: r"
            select id, jsonb_build_object('saga', state) from every_saga
            where definition in ('cancel-order', 'return-order') and finished_at is not null order by id
        ",
    },
    second: Side {
        service: "order",
        sql: r"
            select id, jsonb_build_object('status', status, 'is_over', decided_at is not null) from order_cancellation
            union all
            select id, jsonb_build_object('status', status, 'is_over', ended_at is not null) from order_return
            order by 1
        ",
    },
    second_kept_since: None,
    judge,
};

fn judge(saga: Option<&Value>, change: Option<&Value>) -> Option<Value> {
    let saga = saga?;
    let status = change.filter(|change| change["is_over"] == true).and_then(|change| change["status"].as_str());
    let right = matches!(
        (saga["saga"].as_str(), status),
        (Some("completed"), Some("completed")) | (Some("compensated"), Some("refused" | "cancelled" | "expired"))
    );
    (!right).then(|| json!({"saga": saga["saga"], "told": change}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_is_told_how_the_saga_ended() {
        let wrong = |saga: &str, status: &str, is_over: bool| {
            judge(Some(&json!({"saga": saga})), Some(&json!({"status": status, "is_over": is_over}))).is_some()
        };
        assert!(!wrong("completed", "completed", true) && !wrong("compensated", "expired", true));
        assert!(wrong("completed", "received", false), "its money is back, and nobody was told");
        assert!(wrong("completed", "refused", true) && wrong("compensated", "completed", true));
        assert!(wrong("compensated", "cancelled", false), "called off, and its saga's end not seen");
        assert!(judge(Some(&json!({"saga": "completed"})), None).is_some());
        assert!(judge(None, Some(&json!({"status": "open", "is_over": false}))).is_none());
    }
}
