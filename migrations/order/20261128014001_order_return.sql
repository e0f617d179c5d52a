-- When the newest of an order's shipments left: how long it can be returned counts from here. Null: none has, or it was
-- before this was written down, and then the order's completion counts.
alter table orders add column last_shipped_at timestamptz;
-- How much of an order has come back.
alter table orders add column return_status text not null default 'none'
    constraint orders_return_status check (return_status in ('none', 'partially_returned', 'returned'));
