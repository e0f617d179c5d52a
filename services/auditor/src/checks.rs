//! The promises between services, one file each. This is the one list.

mod accepted_checkouts_have_their_saga;
mod cancelled_orders_are_paid_back;
mod ended_sagas_decide_their_checkouts;
mod ended_sagas_decide_their_order_changes;
mod holds_end_with_their_saga;
mod one_live_charge_per_order;
mod operations_are_what_the_provider_did;
mod paid_is_what_the_order_costs;
mod provider_books_equal_ours;
mod returned_goods_are_in_stock;
mod returns_are_paid_back;
mod returns_give_back_no_more_than_was_paid;

use serde_json::Value;

use crate::side::Side;

/// A promise between two services.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrossCheck {
    pub(crate) promise: &'static str,
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    /// Read first: what it says must be true of the other side by the time that is read.
    pub(crate) first: Side,
    pub(crate) second: Side,
    /// What the second side is asked for the id before which its rows may be gone; none when it keeps them for ever.
    pub(crate) second_kept_since: Option<&'static str>,
    /// What is wrong with one id, by what each side has of it; none when nothing is.
    pub(crate) judge: fn(Option<&Value>, Option<&Value>) -> Option<Value>,
}

/// For a check whose second side is the sandbox. One that was never asked for anything is not the provider of this deployment, and what ours say
/// is another one's to confirm: every id is older than the highest.
const SINCE_SANDBOX_IS_USED: &str = r"
    select case when exists (select from provider_operation) then '00000000-0000-0000-0000-000000000000'
                else 'ffffffff-ffff-ffff-ffff-ffffffffffff' end::uuid";

/// All of them.
pub(crate) const CROSS_CHECKS: &[CrossCheck] = &[
    accepted_checkouts_have_their_saga::CHECK,
    ended_sagas_decide_their_checkouts::CHECK,
    ended_sagas_decide_their_order_changes::CHECK,
    one_live_charge_per_order::CHECK,
    paid_is_what_the_order_costs::CHECK,
    cancelled_orders_are_paid_back::CHECK,
    returns_are_paid_back::CHECK,
    returns_give_back_no_more_than_was_paid::CHECK,
    returned_goods_are_in_stock::CHECK,
    provider_books_equal_ours::CHECK,
    holds_end_with_their_saga::CHECK,
    operations_are_what_the_provider_did::CHECK,
];
