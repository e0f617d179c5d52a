-- How much of a SKU lies in a warehouse, and how much of that is spoken for. Available is what remains.
-- The key leads with what every statement looks up (a shop's SKU), and its order is the order in which rows are locked.
-- Only counters are updated and none is indexed, so the free space of each page keeps every update on its page (HOT).
create table stock (
    account_id   uuid not null,
    livemode     boolean not null,
    sku          text collate "C" not null,
    warehouse_id uuid not null constraint stock_warehouse references warehouse (id),
    on_hand      bigint not null default 0,
    held         bigint not null default 0,
    allocated    bigint not null default 0,
    constraint stock_key primary key (account_id, livemode, sku, warehouse_id),
    constraint stock_on_hand_not_negative check (on_hand >= 0),
    constraint stock_held_not_negative check (held >= 0),
    constraint stock_allocated_not_negative check (allocated >= 0),
    constraint stock_never_oversold check (held + allocated <= on_hand),
    -- Far below the end of bigint, so that no sum of counters can overflow.
    constraint stock_on_hand_limit check (on_hand <= 1000000000000000)
) with (fillfactor = 70);
