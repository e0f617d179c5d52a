//! P5: stock is not kept for a saga that has ended.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

/// Ended sagas are read first: by then each has done, or undone, all it would ever do to its hold.
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P5",
    name: "holds_end_with_their_saga",
    says: "When a saga has ended, its hold is committed if it completed, and gone if it was compensated; or an operator has ended it by hand.",
    first: Side {
        service: "orchestrator",
        sql: r"
            select id, jsonb_build_object('saga', state) from every_saga
            where definition = 'checkout' and finished_at is not null order by id
        ",
    },
    second: Side {
        service: "inventory",
        sql: r"
            select h.id, jsonb_build_object('hold', h.state, 'by_hand', e.hold_id is not null)
            from hold h left join hold_ending e on e.hold_id = h.id order by h.id
        ",
    },
    second_kept_since: None,
    judge,
};

fn judge(saga: Option<&Value>, hold: Option<&Value>) -> Option<Value> {
    let is_by_hand = hold.is_some_and(|hold| hold["by_hand"] == true);
    let (saga, hold) = (saga?["saga"].as_str(), hold.map(|hold| hold["hold"].as_str().unwrap_or_default()));
    let right = match (saga, hold) {
        // What became of the goods is the operator's word, with a name and a reason.
        (_, Some("committed" | "released")) if is_by_hand => true,
        (Some("completed"), hold) => hold == Some("committed"),
        (_, None | Some("released" | "expired")) => true,
        (_, Some(_)) => false,
    };
    (!right).then(|| json!({"saga": saga, "hold": hold}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_saga_keeps_no_stock() {
        let wrong = |saga: Option<&str>, hold: Option<&str>| {
            let saga = saga.map(|state| json!({"saga": state}));
            let hold = hold.map(|state| json!({"hold": state}));
            judge(saga.as_ref(), hold.as_ref()).is_some()
        };
        for hold in ["held", "allocated"] {
            assert!(wrong(Some("completed"), Some(hold)) && wrong(Some("compensated"), Some(hold)), "{hold}");
            assert!(!wrong(None, Some(hold)), "a saga on its way may have it {hold}");
        }
        assert!(!wrong(Some("completed"), Some("committed")) && wrong(Some("compensated"), Some("committed")));
        assert!(
            !wrong(Some("compensated"), None)
                && !wrong(Some("compensated"), Some("released"))
                && !wrong(Some("compensated"), Some("expired"))
        );
        assert!(wrong(Some("completed"), None) && wrong(Some("completed"), Some("released")));
        let by_hand = |saga: &str, hold: &str| {
            judge(Some(&json!({ "saga": saga })), Some(&json!({"hold": hold, "by_hand": true}))).is_some()
        };
        assert!(!by_hand("completed", "released") && !by_hand("compensated", "committed"));
        assert!(by_hand("completed", "allocated"), "it was not ended");
    }
}
