//! The pretend provider keeps its own promises too, or it would be no judge of ours.

use makegood_chassis::invariant::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[Invariant {
    promise: "P1",
    name: "provider_captured_each_order_once",
    says: "The provider has at most one captured charge for each order.",
    sql: r"select order_id::text as id, jsonb_build_object('charges', count(*), 'captured', sum(captured_minor)) as detail
           from charge where order_id is not null and captured_minor > 0
           group by order_id having count(*) > 1",
}];
