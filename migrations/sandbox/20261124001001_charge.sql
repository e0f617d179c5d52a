-- The pretend card provider's books: one row per authorization, with what has become of its money.
-- A void of an authorization that was never seen leaves a row too, so that it is refused should it still arrive.
create table charge (
    authorization_id uuid primary key,   -- the operation that authorizes
    merchant         uuid,               -- null where only a void was seen
    order_id         uuid,
    reference        text,
    payment_method   text,
    currency         text,
    state            text not null constraint charge_state check
        (state in ('requires_action', 'authorized', 'captured', 'voided', 'declined')),
    amount_minor     bigint not null,    -- as asked for
    authorized_minor bigint not null default 0,
    captured_minor   bigint not null default 0,
    refunded_minor   bigint not null default 0,
    voided_minor     bigint not null default 0,
    created_at       timestamptz not null default now(),
    constraint charge_captured_and_voided_within_authorized check
        (captured_minor >= 0 and voided_minor >= 0 and captured_minor + voided_minor <= authorized_minor),
    constraint charge_refunded_within_captured check (refunded_minor between 0 and captured_minor)
) with (fillfactor = 80);
create index charge_order on charge (order_id);
create index charge_reference on charge (merchant, reference text_pattern_ops);
