-- The wish to cancel a completed order, and what came of it. Its id is the id of its saga.
create table order_cancellation (
    id             uuid primary key,
    order_id       uuid not null constraint order_cancellation_order references orders (id),
    account_id     uuid not null,
    livemode       boolean not null,
    reason         text,                    -- the caller's, for people
    status         text not null default 'requested' constraint order_cancellation_status check
                   (status in ('requested', 'started', 'completed', 'refused')),
    failure_code   text,                    -- why it was refused
    failure_detail text,
    resend_at      timestamptz,             -- when the saga is started again; null once it is seen to run
    resend_count   integer not null default 0,
    traceparent    text,
    created_at     timestamptz not null default now(),
    decided_at     timestamptz,
    constraint order_cancellation_decided check ((decided_at is null) = (status in ('requested', 'started'))),
    constraint order_cancellation_refused check ((failure_code is not null) = (status = 'refused')),
    constraint order_cancellation_told_until_started check ((resend_at is not null) = (status = 'requested'))
);
-- The lock on the order: one cancellation at a time, and none after one that went through.
create unique index order_cancellation_one_at_a_time on order_cancellation (order_id) where status <> 'refused';
create index order_cancellation_of_order on order_cancellation (order_id, id);
create index order_cancellation_resend on order_cancellation (resend_at) where resend_at is not null;
