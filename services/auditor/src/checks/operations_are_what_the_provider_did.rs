//! P6 and P9: no request reached the provider without a row of ours, and none is remembered otherwise than the provider does.

use serde_json::{Value, json};

use super::{CrossCheck, SINCE_SANDBOX_IS_USED};
use crate::side::Side;

/// Ours are read first, and a row of ours is committed before its request leaves: one that only the provider knows, twice,
/// is an effect that nobody asked for.
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P9",
    name: "operations_are_what_the_provider_did",
    says: "Every request that the provider carried out is one operation of ours, and a decided operation has the outcome and the amount that the provider says.",
    first: Side {
        service: "payment",
        sql: r"
            select operation_id, jsonb_build_object('kind', kind, 'state', state, 'amount_minor', amount_minor)
            from payment_operation order by operation_id
        ",
    },
    second: Side {
        service: "sandbox",
        sql: r"
            select operation_id, jsonb_build_object('kind', kind, 'status', status, 'amount_minor', amount_minor)
            from provider_operation order by operation_id
        ",
    },
    second_kept_since: Some(SINCE_SANDBOX_IS_USED),
    judge,
};

fn judge(ours: Option<&Value>, theirs: Option<&Value>) -> Option<Value> {
    let status = theirs.and_then(|theirs| theirs["status"].as_str());
    let right = match ours {
        // A refusal that we have no row of has no effect.
        None => status != Some("succeeded"),
        Some(ours) => {
            let outcome = match ours["state"].as_str() {
                Some("succeeded") => status == Some("succeeded"),
                // Refused before it reached the provider, or given up by the buyer's deadline.
                Some("declined") => status != Some("succeeded"),
                // Undecided: the provider may know more than we do, until we ask.
                _ => true,
            };
            outcome && theirs.is_none_or(|theirs| same_request(ours, theirs))
        }
    };
    (!right).then(|| json!({"ours": ours, "provider": theirs}))
}

/// A void names no amount to the provider, who gives back what it has: the whole, or nothing where the authorization never
/// reached it.
fn same_request(ours: &Value, theirs: &Value) -> bool {
    let (asked, carried_out) = (&ours["amount_minor"], &theirs["amount_minor"]);
    let had_nothing = || ours["kind"] == "void" && *carried_out == 0;
    ours["kind"] == theirs["kind"] && (carried_out.is_null() || asked == carried_out || had_nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_amounts_and_strangers_are_compared() {
        let ours = |state: &str| json!({"kind": "capture", "state": state, "amount_minor": 500});
        let theirs = |status: &str, amount: i64| json!({"kind": "capture", "status": status, "amount_minor": amount});
        let wrong = |ours: Option<Value>, theirs: Option<Value>| judge(ours.as_ref(), theirs.as_ref()).is_some();
        assert!(!wrong(Some(ours("succeeded")), Some(theirs("succeeded", 500))));
        assert!(wrong(Some(ours("succeeded")), Some(theirs("succeeded", 499))) && wrong(Some(ours("succeeded")), None));
        assert!(
            wrong(Some(ours("succeeded")), Some(theirs("declined", 500)))
                && wrong(Some(ours("declined")), Some(theirs("succeeded", 500)))
        );
        assert!(!wrong(Some(ours("declined")), None) && !wrong(Some(ours("declined")), Some(theirs("declined", 500))));
        for undecided in ["started", "unknown", "action_required"] {
            assert!(
                !wrong(Some(ours(undecided)), None) && !wrong(Some(ours(undecided)), Some(theirs("succeeded", 500)))
            );
        }
        assert!(wrong(None, Some(theirs("succeeded", 500))) && !wrong(None, Some(theirs("declined", 500))));
        let void = json!({"kind": "void", "state": "succeeded", "amount_minor": 500});
        let voided = |amount: Value| Some(json!({"kind": "void", "status": "succeeded", "amount_minor": amount}));
        for amount in [json!(null), json!(500), json!(0)] {
            assert!(!wrong(Some(void.clone()), voided(amount)));
        }
        assert!(wrong(Some(void), voided(json!(499))) && wrong(Some(ours("succeeded")), Some(theirs("succeeded", 0))));
    }
}
