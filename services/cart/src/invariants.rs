//! What must always be true of carts, as queries that find the exceptions.
//!
//! All but the last look at carts that are not orders yet, which an index finds; closed carts never change again.

use makegood_chassis::invariant::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        promise: "P1",
        name: "a_cart_belongs_to_one_checkout",
        says: "No checkout holds two carts, and a locked cart says which checkout holds it.",
        sql: r#"
            select min(id::text), jsonb_build_object('checkout', locked_by, 'carts', count(*))
            from cart where state = 'locked'
            group by locked_by having locked_by is null or count(*) > 1
        "#,
    },
    Invariant {
        promise: "P4",
        name: "a_locked_cart_has_something_to_pay",
        says: "A cart that a checkout holds has lines, and their total is positive and fits.",
        sql: r#"
            select c.id::text, jsonb_build_object('lines', count(l.line), 'total_minor', sum(l.unit_price_minor::numeric * l.quantity))
            from cart c left join cart_line l on l.cart_id = c.id
            where c.state = 'locked'
            group by c.id
            having coalesce(sum(l.unit_price_minor::numeric * l.quantity), 0) not between 1 and 9223372036854775807
        "#,
    },
    Invariant {
        promise: "P4",
        name: "line_quantities_are_positive",
        says: "Every line of a cart that is not an order yet has a positive quantity and a price that is not negative.",
        sql: r#"
            select l.cart_id::text, jsonb_build_object('line', l.line, 'quantity', l.quantity, 'unit_price_minor', l.unit_price_minor)
            from cart c join cart_line l on l.cart_id = c.id
            where c.state <> 'closed' and (l.quantity <= 0 or l.unit_price_minor < 0)
        "#,
    },
    Invariant {
        promise: "P6",
        name: "every_line_has_its_cart",
        says: "No line of the last two days' carts was left without its cart (there is no foreign key, see the migration).",
        sql: r#"
            select l.cart_id::text, jsonb_build_object('line', l.line)
            from cart_line l
            where l.cart_id >= uuidv7_floor(now() - interval '2 days')
              and not exists (select from cart c where c.id = l.cart_id)
        "#,
    },
];
