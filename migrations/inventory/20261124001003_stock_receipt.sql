-- What came into a warehouse. Kept for ever: on hand is the sum of receipts less what was committed.
create table stock_receipt (
    id           bigint generated always as identity primary key,
    account_id   uuid not null,
    livemode     boolean not null,
    sku          text collate "C" not null,
    warehouse_id uuid not null constraint stock_receipt_warehouse references warehouse (id),
    quantity     bigint not null constraint stock_receipt_quantity check (quantity > 0),
    actor        text not null,          -- the API key's name, never the key
    received_at  timestamptz not null default now()
);
