-- What an operator asked for many sagas at once. The row is the work: whichever replica locks it works the next batch, and
-- progress is written in the transaction that moves the sagas, so a crash loses nothing and repeats nothing.
create table bulk_operation (
    id              uuid not null constraint bulk_operation_key primary key,
    account_id      uuid not null,
    livemode        boolean not null,
    actor           text not null,
    reason          text not null,
    operation       jsonb not null,          -- the orchestrator's Operation: the action and its own fields
    filter          jsonb not null,          -- asked again for each saga when its turn comes
    rate_per_second integer not null constraint bulk_operation_rate check (rate_per_second between 1 and 1000),
    state           text not null default 'running' constraint bulk_operation_state check
                    (state in ('running', 'done', 'stopped')),
    matches         bigint not null,         -- sagas that matched when it was asked for
    done            bigint not null default 0,
    refused         bigint not null default 0,
    failed          bigint not null default 0,
    next_at         timestamptz not null default now(), -- when the next batch may begin: keeps the rate across replicas
    stopped_by      text,
    stop_reason     text,
    created_at      timestamptz not null default now(),
    ended_at        timestamptz,
    constraint bulk_operation_ended check ((ended_at is not null) = (state <> 'running'))
);
create index bulk_operation_running on bulk_operation (next_at) where state = 'running';
create index bulk_operation_account on bulk_operation (account_id, livemode, id);

-- The sagas of an operation that are still to be worked, and those that it could not be done to. One that was worked leaves
-- this table for the audit.
create table bulk_operation_saga (
    bulk_operation_id uuid not null constraint bulk_operation_saga_operation references bulk_operation (id),
    saga_id           uuid not null,
    outcome           text constraint bulk_operation_saga_outcome check (outcome in ('refused', 'failed')),
    detail            text,                  -- why it was refused or has failed
    constraint bulk_operation_saga_key primary key (bulk_operation_id, saga_id),
    constraint bulk_operation_saga_detail check ((outcome is null) = (detail is null))
);
create index bulk_operation_saga_open on bulk_operation_saga (bulk_operation_id, saga_id) where outcome is null;
