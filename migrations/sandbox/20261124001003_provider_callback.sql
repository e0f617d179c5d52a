-- Callbacks to the merchant: sent again until taken. A duplicate is a row of its own with the same event.
create table provider_callback (
    id           uuid primary key,
    event_id     text not null,
    operation_id uuid not null,
    due_at       timestamptz,            -- null once taken
    attempts     integer not null default 0,
    created_at   timestamptz not null default now()
);
create index provider_callback_due on provider_callback (due_at) where due_at is not null;
