//! P3: no accepted checkout is forgotten. That its saga then ends, or is parked, is the orchestrator's own promise.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

/// A checkout is told to the orchestrator again and again until it is known there; two minutes outlast a restart of anything.
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P3",
    name: "accepted_checkouts_have_their_saga",
    says: "Every checkout accepted more than two minutes ago has its saga, as long as sagas are kept.",
    first: Side {
        service: "order",
        sql: r"
            select id, jsonb_build_object('checkout', status, 'accepted_at', created_at) from checkout
            where created_at < now() - interval '2 minutes' order by id
        ",
    },
    second: Side {
        service: "orchestrator",
        sql: r"select id, jsonb_build_object('saga', state) from every_saga order by id",
    },
    second_kept_since: Some("select kept_since from saga_retention"),
    judge,
};

fn judge(checkout: Option<&Value>, saga: Option<&Value>) -> Option<Value> {
    let checkout = checkout?;
    saga.is_none().then(|| json!({"checkout": checkout, "saga": null}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_without_a_saga_is_found() {
        let (checkout, saga) = (json!({"checkout": "processing"}), json!({"saga": "running"}));
        assert!(judge(Some(&checkout), None).is_some());
        assert!(judge(Some(&checkout), Some(&saga)).is_none());
        assert!(judge(None, Some(&saga)).is_none(), "younger than two minutes, or of another definition");
    }
}
