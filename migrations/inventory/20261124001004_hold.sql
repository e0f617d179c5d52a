-- What a saga has laid its hand on, from the first hold to the commit. One row a hold, its lines as three parallel
-- arrays: a hold is always taken, moved and given back whole, so a row per line would cost three writes and buy
-- nothing. Not partitioned by day as the barrier is: holds are the postings by which stock's counters are proven, so no
-- day may be dropped while its committed holds are not folded into an opening receipt.
create table hold (
    id            uuid primary key,      -- the saga's id
    account_id    uuid not null,
    livemode      boolean not null,
    state         text not null constraint hold_state
                  check (state in ('held', 'extended', 'allocated', 'committed', 'released', 'expired')),
    expires_at    timestamptz,           -- by this server's clock; null as soon as the hold cannot expire any more
    skus          text[] not null,
    warehouse_ids uuid[] not null,
    quantities    bigint[] not null,
    created_at    timestamptz not null default now(),
    changed_at    timestamptz not null default now(),
    constraint hold_expires_only_while_held check ((state = 'held') = (expires_at is not null)),
    constraint hold_lines_are_parallel
        check (cardinality(skus) = cardinality(warehouse_ids) and cardinality(skus) = cardinality(quantities)),
    constraint hold_has_lines check (cardinality(skus) > 0),
    constraint hold_quantities_positive check (0 < all (quantities))
) with (fillfactor = 70);
-- The sweeper's queue. `expires_at is not null` says `state = 'held'` (see the constraint) without naming the state: a
-- later change of state then touches no indexed column and stays on its page.
create index hold_due on hold (expires_at) where expires_at is not null;
