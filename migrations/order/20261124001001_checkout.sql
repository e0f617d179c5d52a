-- A checkout: what a buyer asked for, how far its saga has come, and what the saga is still to be told.
-- Its id is the saga's id. It is not partitioned: the token below must be unique for ever.
create table checkout (
    id                 uuid primary key,
    order_id           uuid not null constraint checkout_order unique,
    account_id         uuid not null,
    livemode           boolean not null,
    cart_id            uuid not null,
    email              text not null,
    shipping_address   jsonb not null,
    shipping_method    text not null,
    expected_total     jsonb,                -- contracts::money::Money, as the caller gave it
    reference          text,
    token_hash         bytea not null,       -- HMAC of the Idempotency-Key that opened it: the key itself lives 24 h, this for ever
    fingerprint        bytea not null,       -- of the request that came with the key
    confirmed_in_call  boolean not null,     -- confirmed by the call that opened it: never changes, unlike `confirmation`
    confirmation       jsonb,                -- contracts::order::Confirmation: a payment method's token, never a card number
    status             text not null default 'accepted' constraint checkout_status check
                       (status in ('accepted', 'open', 'processing', 'requires_action', 'completed', 'failed', 'expired', 'cancelled')),
    opened_at          timestamptz,
    opened_total_minor bigint,
    currency           text,
    hold_expires_at    timestamptz,          -- as it was when the checkout opened; payment extends the hold itself
    next_action        jsonb,
    failure_code       text,
    failure_detail     text,
    cancel_requested   boolean not null default false,
    resend_at          timestamptz,          -- when the saga is told again what it has not been seen to know; null: nothing to tell
    resend_count       integer not null default 0,
    traceparent        text,
    version            bigint not null default 1,
    created_at         timestamptz not null default now(),
    decided_at         timestamptz,
    constraint checkout_token unique (account_id, livemode, token_hash),
    constraint checkout_opened check ((opened_at is null) = (opened_total_minor is null)
        and (opened_at is null) = (currency is null) and (opened_at is null) = (hold_expires_at is null)),
    constraint checkout_open_means_opened check (opened_at is not null or status not in ('open', 'processing', 'requires_action', 'completed')),
    constraint checkout_decided check ((decided_at is null) = (status in ('accepted', 'open', 'processing', 'requires_action'))),
    constraint checkout_decided_tells_nothing check (decided_at is null or resend_at is null)
) with (fillfactor = 80); -- each row is updated two or three times, soon after it was written
create index checkout_resend on checkout (resend_at) where resend_at is not null;
-- What is still under way, oldest first: for the invariants.
create index checkout_undecided on checkout (created_at) where decided_at is null;
