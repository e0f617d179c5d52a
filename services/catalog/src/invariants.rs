//! What must always be true of products, as queries that find the exceptions.

use makegood_chassis::invariant::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        promise: "P8",
        name: "every_product_version_is_told",
        says: "The current version of each product has its event, so that no cart is priced from an older one for ever.",
        sql: r#"
            select p.sku, jsonb_build_object('account_id', p.account_id, 'livemode', p.livemode, 'version', p.version)
            from product p
            where not exists (
                select from event_log e
                where e.name = 'product.priced' and e.account_id = p.account_id and e.livemode = p.livemode
                  and e.subject = p.sku and e.version = p.version)
        "#,
    },
    Invariant {
        promise: "P4",
        name: "every_product_has_a_price",
        says: "Each product has at least one price, and none is negative.",
        sql: r#"
            select p.sku, jsonb_build_object('account_id', p.account_id, 'livemode', p.livemode)
            from product p
            where not exists (
                select from product_price r
                where r.account_id = p.account_id and r.livemode = p.livemode and r.sku = p.sku)
            union all
            select sku, jsonb_build_object('account_id', account_id, 'livemode', livemode,
                                           'currency', currency, 'amount_minor', amount_minor)
            from product_price where amount_minor < 0
        "#,
    },
];
