-- A buyer's cart: open for edits, locked by the checkout that prices it, closed by the order that it became.
create table cart (
    id         uuid primary key,            -- v7
    account_id uuid not null,
    livemode   boolean not null,
    currency   text not null,
    state      text not null constraint cart_state check (state in ('open', 'locked', 'closed')),
    locked_by  uuid,                        -- the checkout's saga; kept when closed
    version    bigint not null constraint cart_version_positive check (version > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint cart_locked_by_a_saga_unless_open check ((state = 'open') = (locked_by is null))
) with (fillfactor = 80);                   -- every edit rewrites the row; room for that on its own page

-- Finds the few carts that are not orders yet: for the abandonment sweep and the invariants. It holds no column
-- that an edit changes, so edits stay heap-only.
create index cart_not_closed on cart (id) where state <> 'closed';
