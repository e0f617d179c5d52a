//! P2: what a return says is back in stock is there, once, and of one that came to nothing nothing is.
//!
//! Ended returns are read first: goods go into stock before a return ends and not after. That no sale comes back more than whole is
//! the inventory's own promise.

use serde_json::{Value, json};

use super::CrossCheck;
use crate::side::Side;

pub(super) const CHECK: CrossCheck = CrossCheck {
    promise: "P2",
    name: "returned_goods_are_in_stock",
    says: "Of each return that has ended, as many units came into stock as it says, and of one that came to nothing none.",
    first: Side {
        service: "order",
        sql: r"
            select id, jsonb_build_object('status', status,
                'units', case when status = 'completed' then coalesce(restocked_units, 0) else 0 end)
            from order_return where ended_at is not null order by id
        ",
    },
    second: Side {
        service: "inventory",
        sql: r"
            select return_id, jsonb_build_object('units', sum(quantity))
            from stock_receipt where return_id is not null group by return_id order by return_id
        ",
    },
    second_kept_since: None,
    judge,
};

fn judge(returned: Option<&Value>, receipts: Option<&Value>) -> Option<Value> {
    let returned = returned?;
    let in_stock = receipts.map_or(0, |receipts| receipts["units"].as_i64().unwrap_or(-1));
    (returned["units"] != in_stock).then(|| json!({"returned": returned, "in_stock": receipts}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_in_stock_is_there_once() {
        let wrong = |said: i64, in_stock: Option<i64>| {
            let receipts = in_stock.map(|units| json!({"units": units}));
            judge(Some(&json!({"status": "completed", "units": said})), receipts.as_ref()).is_some()
        };
        assert!(!wrong(2, Some(2)) && !wrong(0, None));
        assert!(wrong(2, None) && wrong(2, Some(4)) && wrong(0, Some(1)));
        assert!(judge(None, Some(&json!({"units": 1}))).is_none(), "a return on its way");
    }
}
