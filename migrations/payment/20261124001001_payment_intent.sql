-- What a shop wants from a buyer, and how far it has come. The row is where concurrent changes of one payment meet:
-- each is conditional on the version it was decided from, and the counters cannot say more than was allowed.
create table payment_intent (
    id               uuid primary key,   -- the saga's id, or a v7 of its own where no saga asked
    saga_id          uuid constraint payment_intent_saga_id unique,
    account_id       uuid not null,
    livemode         boolean not null,
    order_id         uuid,
    reference        text,               -- the shop's own name for the order, shown in the books
    amount_minor     bigint not null constraint payment_intent_amount_positive check (amount_minor > 0),
    currency         text not null constraint payment_intent_currency check (currency ~ '^[A-Z]{3}$'),
    payment_method   text not null,      -- a token, never a card number
    state            text not null constraint payment_intent_state check (state in
        ('requires_confirmation', 'processing', 'requires_action', 'requires_capture', 'succeeded', 'canceled', 'failed')),
    authorization_id uuid not null,      -- the operation that authorizes it; captures, voids and refunds name it to the provider
    captured_minor   bigint not null default 0,
    refunding_minor  bigint not null default 0,   -- asked of the provider and undecided; counts against what may be refunded
    refunded_minor   bigint not null default 0,
    last_error       jsonb,              -- {"code", "decline_code"} of the last refusal
    version          bigint not null default 1,
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now(),
    constraint payment_intent_captured_within_authorized check (captured_minor between 0 and amount_minor),
    constraint payment_intent_refunded_within_captured check
        (refunded_minor >= 0 and refunding_minor >= 0 and refunded_minor + refunding_minor <= captured_minor)
) with (fillfactor = 70);                -- every intent is updated twice in its first second, in place if there is room
create index payment_intent_order on payment_intent (account_id, livemode, order_id);
-- A prefix of the reference finds all payments of one import.
create index payment_intent_reference on payment_intent (account_id, livemode, reference text_pattern_ops)
    where reference is not null;
