-- An order exists from the moment in which its checkout opens: priced, its stock held.
-- Lines are one jsonb array on the row: they are written once, never changed, and always read whole.
create table orders (
    id                  uuid primary key,
    checkout_id         uuid not null constraint orders_checkout unique,
    account_id          uuid not null,
    livemode            boolean not null,
    email               text not null,
    status              text not null default 'pending' constraint orders_status check
                        (status in ('pending', 'completed', 'failed', 'cancelled', 'expired')),
    fulfillment_status  text not null default 'unfulfilled' constraint orders_fulfillment_status check
                        (fulfillment_status in ('unfulfilled', 'partially_shipped', 'shipped')),
    total_minor         bigint not null constraint orders_total check (total_minor >= 0),
    currency            text not null,
    lines               jsonb not null,                     -- array of contracts::cart::PricedLine
    planned_shipments   jsonb,                              -- array of ids; null where the saga has not told
    shipments           jsonb not null default '[]',        -- those that have left: [{"id", "tracking_number"}]
    reference           text,
    version             bigint not null default 1,          -- of the order's events too
    created_at          timestamptz not null default now()
) with (fillfactor = 80);
-- Keyset pages, newest first; ids are UUIDv7, so their order is the order of acceptance.
create index orders_by_account on orders (account_id, livemode, id);
create index orders_by_email on orders (account_id, livemode, lower(email), id);
create index orders_by_status on orders (account_id, livemode, status, id);
