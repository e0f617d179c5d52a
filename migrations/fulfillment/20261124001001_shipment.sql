-- One parcel's way out of one warehouse.
create table shipment (
    id               uuid primary key,   -- made from the saga's id and the warehouse, so a repeat makes the same
    saga_id          uuid not null,
    order_id         uuid not null,
    account_id       uuid not null,
    livemode         boolean not null,
    warehouse        text collate "C" not null,
    state            text not null default 'created' constraint shipment_state
                     check (state in ('created', 'released', 'shipped', 'cancelled')),
    shipping_method  text not null,
    address          jsonb not null,
    tracking_number  text,
    carrier_event_id text,               -- the carrier's event that said so
    version          bigint not null default 1,
    handover_due_at  timestamptz,        -- when the carrier is asked (again), by this server's clock
    handed_over_at   timestamptz,        -- when the carrier last accepted it
    shipped_at       timestamptz,        -- by the carrier's word
    created_at       timestamptz not null default now(),
    changed_at       timestamptz not null default now(),
    constraint shipment_one_per_warehouse unique (saga_id, warehouse),
    constraint shipment_shipped_has_tracking
        check ((state = 'shipped') = (tracking_number is not null) and (state = 'shipped') = (shipped_at is not null)),
    constraint shipment_due_only_while_released check ((state = 'released') = (handover_due_at is not null))
) with (fillfactor = 70);
create index shipment_order on shipment (account_id, livemode, order_id);
-- The hand-over's queue.
create index shipment_handover_due on shipment (handover_due_at) where handover_due_at is not null;
