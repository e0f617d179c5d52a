-- Goods of a completed order that are to come back, and what came of it. Its id is the id of its saga. The row decides:
-- open until someone says what came, it is called off, or its time is over, whichever is written first.
create table order_return (
    id              uuid primary key,
    order_id        uuid not null constraint order_return_order references orders (id),
    account_id      uuid not null,
    livemode        boolean not null,
    reason          text,                    -- the caller's, for people
    status          text not null default 'open' constraint order_return_status check
                    (status in ('open', 'received', 'completed', 'cancelled', 'expired', 'refused')),
    lines           jsonb not null,          -- array of order_return::ReturnLine: announced, then also what came
    refund_minor    bigint not null constraint order_return_refund check (refund_minor >= 0), -- of what was announced, then of what came
    receive_by      timestamptz not null,
    failure_code    text,                    -- why it came to nothing
    failure_detail  text,
    refund_id       uuid,                    -- as its saga told at its end
    restocked_units bigint,                  -- the same
    begun           boolean not null default false, -- its saga has been seen to run
    resend_at       timestamptz,             -- when its saga is told again what it has not been seen to know; null: nothing to tell
    resend_count    integer not null default 0,
    traceparent     text,
    created_at      timestamptz not null default now(),
    received_at     timestamptz,
    decided_at      timestamptz,
    ended_at        timestamptz,             -- its saga has ended
    constraint order_return_decided check ((decided_at is null) = (status in ('open', 'received'))),
    constraint order_return_failed check ((failure_code is not null) = (status in ('cancelled', 'expired', 'refused'))),
    constraint order_return_received check (received_at is not null or status not in ('received', 'completed')),
    constraint order_return_told_until_begun check (begun or resend_at is not null),
    constraint order_return_ended_tells_nothing check (ended_at is null or (decided_at is not null and resend_at is null))
);
create index order_return_of_order on order_return (order_id, id);
create index order_return_resend on order_return (resend_at) where resend_at is not null;
-- What is still under way, oldest first: for the invariants.
create index order_return_not_ended on order_return (created_at) where ended_at is null;
