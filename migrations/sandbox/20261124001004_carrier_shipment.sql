-- The pretend carrier: a parcel "ships" some time after it was announced, and its sender is told until he listens.
create table carrier_shipment (
    shipment_id       text primary key,  -- the sender's own
    shipping_method   text not null,
    callback_url      text not null,
    ship_at           timestamptz not null,
    shipped_at        timestamptz,
    tracking_number   text,
    callback_due_at   timestamptz,       -- null before it ships and once told
    callback_attempts integer not null default 0,
    created_at        timestamptz not null default now(),
    constraint carrier_shipment_tracked_once_shipped check ((shipped_at is null) = (tracking_number is null))
) with (fillfactor = 70);
create index carrier_shipment_waiting on carrier_shipment (ship_at) where shipped_at is null;
create index carrier_shipment_untold on carrier_shipment (callback_due_at) where callback_due_at is not null;
