-- Every request that the provider was sent and took, by the sender's own id, for ever: the same id again is answered
-- from here, the same id with another content is refused.
create table provider_operation (
    operation_id       uuid primary key,
    kind               text not null constraint provider_operation_kind check (kind in ('authorize', 'capture', 'void', 'refund')),
    authorization_id   uuid not null,
    content_hash       bytea not null,   -- SHA-256 of what was asked
    amount_minor       bigint not null,  -- as asked for; of a void, what it let go
    currency           text,
    status             text not null constraint provider_operation_status check (status in ('succeeded', 'declined', 'requires_action')),
    code               text,
    decline_code       text,
    provider_reference text not null,
    created_at         timestamptz not null default now(),
    decided_at         timestamptz
);
create index provider_operation_authorization on provider_operation (authorization_id);
