//! The inventory's promises as queries. Each is one statement, hence one snapshot, so it is right also while sagas run.
//!
//! The counters are proven against their postings by reading all holds and receipts once: an index on the state
//! would make that quicker and every step of every saga slower.

use makegood_chassis::invariant::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        promise: "P2",
        name: "stock_is_never_oversold",
        says: "For every SKU and warehouse, on hand is not negative, and held and allocated together do not exceed it.",
        sql: r"
            select account_id || '/' || sku || '/' || warehouse_id as id,
                   jsonb_build_object('on_hand', on_hand, 'held', held, 'allocated', allocated) as detail
            from stock
            where on_hand < 0 or held < 0 or allocated < 0 or held + allocated > on_hand
        ",
    },
    Invariant {
        promise: "P2",
        name: "on_hand_is_receipts_less_commits",
        says: "What a warehouse has of a SKU is the sum of its receipts less the sum of what was committed.",
        sql: r"
            with posted as (
                select account_id, livemode, sku, warehouse_id, sum(quantity) as quantity
                from (
                    select account_id, livemode, sku, warehouse_id, quantity from stock_receipt
                    union all
                    select h.account_id, h.livemode, l.sku, l.warehouse_id, -l.quantity
                    from hold h
                    cross join lateral unnest(h.skus, h.warehouse_ids, h.quantities) as l (sku, warehouse_id, quantity)
                    where h.state = 'committed'
                ) posting
                group by account_id, livemode, sku, warehouse_id
            )
            select account_id || '/' || sku || '/' || warehouse_id as id,
                   jsonb_build_object('on_hand', s.on_hand, 'posted', p.quantity) as detail
            from stock s
            full join posted p using (account_id, livemode, sku, warehouse_id)
            where coalesce(s.on_hand, 0) <> coalesce(p.quantity, 0)
        ",
    },
    Invariant {
        promise: "P2",
        name: "what_comes_back_was_sold",
        says: "What was put back of a sale is what that sale took, line by line, and no other goods.",
        sql: r"
            with back as (
                select restocked_hold as id, sku, warehouse_id, quantity
                from stock_receipt where restocked_hold is not null
            )
            select b.id::text as id, jsonb_build_object('sku', b.sku, 'back', b.quantity, 'sold', l.quantity) as detail
            from back b
            join hold h on h.id = b.id
            left join lateral unnest(h.skus, h.warehouse_ids, h.quantities) as l (sku, warehouse_id, quantity)
                on l.sku = b.sku and l.warehouse_id = b.warehouse_id
            where h.state <> 'committed' or l.quantity is distinct from b.quantity
        ",
    },
    Invariant {
        promise: "P2",
        name: "returns_bring_back_no_more_than_was_sold",
        says: "All that came back of a sale, however it came, is no more than that warehouse sold of it.",
        sql: r"
            with back as (
                select coalesce(returned_hold, restocked_hold) as id, sku, warehouse_id, sum(quantity) as quantity
                from stock_receipt where returned_hold is not null or restocked_hold is not null
                group by 1, 2, 3
            )
            select b.id::text as id, jsonb_build_object('sku', b.sku, 'back', b.quantity, 'sold', l.quantity) as detail
            from back b
            join hold h on h.id = b.id
            left join lateral (
                select sum(l.quantity) as quantity
                from unnest(h.skus, h.warehouse_ids, h.quantities) as l (sku, warehouse_id, quantity)
                where l.sku = b.sku and l.warehouse_id = b.warehouse_id
            ) l on true
            where h.state <> 'committed' or b.quantity > coalesce(l.quantity, 0)
        ",
    },
    Invariant {
        promise: "P2",
        name: "held_is_the_sum_of_holds",
        says: "What is held of a SKU in a warehouse is the sum of its held holds.",
        sql: r"
            with posted as (
                select h.account_id, h.livemode, l.sku, l.warehouse_id, sum(l.quantity) as quantity
                from hold h
                cross join lateral unnest(h.skus, h.warehouse_ids, h.quantities) as l (sku, warehouse_id, quantity)
                where h.state = 'held'
                group by h.account_id, h.livemode, l.sku, l.warehouse_id
            )
            select account_id || '/' || sku || '/' || warehouse_id as id,
                   jsonb_build_object('held', s.held, 'posted', p.quantity) as detail
            from stock s
            full join posted p using (account_id, livemode, sku, warehouse_id)
            where coalesce(s.held, 0) <> coalesce(p.quantity, 0)
        ",
    },
    Invariant {
        promise: "P2",
        name: "allocated_is_the_sum_of_allocations",
        says: "What is allocated of a SKU in a warehouse is the sum of its allocated holds.",
        sql: r"
            with posted as (
                select h.account_id, h.livemode, l.sku, l.warehouse_id, sum(l.quantity) as quantity
                from hold h
                cross join lateral unnest(h.skus, h.warehouse_ids, h.quantities) as l (sku, warehouse_id, quantity)
                where h.state = 'allocated'
                group by h.account_id, h.livemode, l.sku, l.warehouse_id
            )
            select account_id || '/' || sku || '/' || warehouse_id as id,
                   jsonb_build_object('allocated', s.allocated, 'posted', p.quantity) as detail
            from stock s
            full join posted p using (account_id, livemode, sku, warehouse_id)
            where coalesce(s.allocated, 0) <> coalesce(p.quantity, 0)
        ",
    },
    Invariant {
        promise: "P5",
        name: "no_hold_outlives_its_deadline",
        says: "No hold is still held a minute after its deadline.",
        sql: r"
            select id::text as id, jsonb_build_object('state', state, 'expires_at', expires_at) as detail
            from hold
            where expires_at < now() - interval '60 seconds'
        ",
    },
    Invariant {
        promise: "P5",
        name: "only_held_holds_have_a_deadline",
        says: "A hold has a deadline while it is held, and none once it is allocated, which is before payment begins.",
        sql: r"
            select id::text as id, jsonb_build_object('state', state, 'expires_at', expires_at) as detail
            from hold
            where (state = 'held') <> (expires_at is not null)
        ",
    },
];
