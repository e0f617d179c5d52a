-- Where stock lies. A lower priority is preferred when an order is routed.
create table warehouse (
    id         uuid primary key default gen_random_uuid(),
    account_id uuid not null,
    livemode   boolean not null,
    code       text collate "C" not null,
    priority   integer not null constraint warehouse_priority check (priority >= 0),
    constraint warehouse_code unique (account_id, livemode, code)
);
