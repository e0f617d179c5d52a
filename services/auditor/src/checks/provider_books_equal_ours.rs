//! P4: what the provider has of a payment is what we say it has.

use serde_json::{Value, json};

use super::{CrossCheck, SINCE_SANDBOX_IS_USED};
use crate::side::Side;

/// Ours are read first. While a request to the provider is undecided, its books may be ahead of ours: such a payment is not
/// judged (that it is decided in time is payment's own promise).
pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P4",
    name: "provider_books_equal_ours",
    says: "Of each payment, the provider authorized, captured and gave back what our books say, and holds nothing of one that failed.",
    first: Side {
        service: "payment",
        sql: r"
            select i.authorization_id, jsonb_build_object('intent', i.id, 'state', i.state, 'amount_minor', i.amount_minor,
                'captured_minor', i.captured_minor, 'refunded_minor', i.refunded_minor, 'currency', i.currency)
            from payment_intent i
            where i.authorization_id is not null
              and not exists (select from payment_operation o where o.intent_id = i.id and o.ask_at is not null)
            order by i.authorization_id
        ",
    },
    second: Side {
        service: "sandbox",
        sql: r"
            select authorization_id, jsonb_build_object('state', state, 'amount_minor', authorized_minor,
                'captured_minor', captured_minor, 'refunded_minor', refunded_minor, 'currency', currency)
            from charge order by authorization_id
        ",
    },
    second_kept_since: Some(SINCE_SANDBOX_IS_USED),
    judge,
};

fn judge(ours: Option<&Value>, theirs: Option<&Value>) -> Option<Value> {
    let ours = ours?;
    let same = |fields: &[&str]| theirs.is_some_and(|theirs| fields.iter().all(|field| theirs[field] == ours[field]));
    let their_state = theirs.and_then(|theirs| theirs["state"].as_str());
    let right = match ours["state"].as_str() {
        Some("succeeded") => their_state == Some("captured") && same(&["captured_minor", "refunded_minor", "currency"]),
        Some("requires_capture") => {
            their_state == Some("authorized") && same(&["amount_minor", "captured_minor", "currency"])
        }
        Some("canceled" | "failed") => matches!(their_state, None | Some("voided" | "declined" | "requires_action")),
        // Nothing has been asked, or the buyer has not authenticated yet: nothing can be held.
        _ => matches!(their_state, None | Some("declined" | "requires_action" | "voided")),
    };
    (!right).then(|| json!({"ours": ours, "provider": theirs}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_ours_allows_its_states_of_theirs() {
        let book = |state: &str, captured: i64, refunded: i64| json!({"state": state, "amount_minor": 500, "captured_minor": captured, "refunded_minor": refunded, "currency": "GBP"});
        let wrong = |ours: Value, theirs: Option<Value>| judge(Some(&ours), theirs.as_ref()).is_some();
        assert!(!wrong(book("succeeded", 500, 0), Some(book("captured", 500, 0))));
        assert!(!wrong(book("succeeded", 500, 100), Some(book("captured", 500, 100))));
        assert!(wrong(book("succeeded", 500, 0), Some(book("captured", 499, 0))));
        assert!(wrong(book("succeeded", 500, 0), Some(book("captured", 500, 1))));
        assert!(
            wrong(book("succeeded", 500, 0), Some(book("authorized", 0, 0))) && wrong(book("succeeded", 500, 0), None)
        );
        assert!(!wrong(book("requires_capture", 0, 0), Some(book("authorized", 0, 0))));
        assert!(wrong(book("requires_capture", 0, 0), Some(book("captured", 500, 0))));
        for ended in ["canceled", "failed"] {
            assert!(!wrong(book(ended, 0, 0), None) && !wrong(book(ended, 0, 0), Some(book("voided", 0, 0))));
            assert!(
                wrong(book(ended, 0, 0), Some(book("authorized", 0, 0)))
                    && wrong(book(ended, 0, 0), Some(book("captured", 500, 0)))
            );
        }
        assert!(judge(None, Some(&book("authorized", 0, 0))).is_none());
    }
}
