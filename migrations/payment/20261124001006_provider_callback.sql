-- Callbacks that were accepted, once per event. Each only makes its operation due to be asked for: what a callback
-- says is a hint, and the provider's answer is the truth.
create table provider_callback (
    event_id     text primary key constraint provider_callback_event_id_length check (length(event_id) between 1 and 255),
    operation_id uuid not null,
    received_at  timestamptz not null default now()
);
create index provider_callback_operation_id on provider_callback (operation_id);
