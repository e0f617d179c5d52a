-- One request to the provider. The row is committed as `started` before the request leaves, so that an answer that
-- never comes leaves a question (asked by the operation's id) and not a guess.
create table payment_operation (
    operation_id       uuid primary key, -- also the provider's idempotency key: v5 of the step's key
    intent_id          uuid not null constraint payment_operation_intent references payment_intent,
    account_id         uuid not null,
    livemode           boolean not null,
    kind               text not null constraint payment_operation_kind check (kind in ('authorize', 'capture', 'void', 'refund')),
    amount_minor       bigint not null constraint payment_operation_amount_positive check (amount_minor > 0),
    state              text not null default 'started' constraint payment_operation_state check
        (state in ('started', 'unknown', 'action_required', 'succeeded', 'declined')),
    provider_reference text,
    code               text,             -- why it was declined, as the shop is told
    decline_code       text,             -- the card issuer's finer reason
    redirect_url       text,             -- where the buyer authenticates
    refund_id          uuid constraint payment_operation_refund_id unique,
    reason             text,             -- of a refund
    saga_id            uuid,             -- the step that asked, and where a late decision is told; null for an operator's refund
    step               text,
    direction          text,
    reply_to           text,
    attempt            integer,
    ask_at             timestamptz,      -- when the provider is asked next; null once decided
    asked              integer not null default 0,
    created_at         timestamptz not null default now(),
    decided_at         timestamptz,
    constraint payment_operation_undecided_is_asked check ((state in ('started', 'unknown', 'action_required')) = (ask_at is not null)),
    constraint payment_operation_refund_is_named check ((kind = 'refund') = (refund_id is not null))
) with (fillfactor = 80);
create index payment_operation_intent_id on payment_operation (intent_id);
create index payment_operation_undecided on payment_operation (ask_at) where ask_at is not null;
