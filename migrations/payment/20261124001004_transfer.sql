-- The ledger. One row moves one amount from one account to another, so no set of rows can fail to balance; the
-- composite foreign keys keep both ends in one currency and one shop. A correction is another transfer.
-- A pending row reserves and is on no balance; it is resolved once, by a `post` (which is) or a `void` (which is not).
create table transfer (
    id             uuid primary key,     -- v5 of the operation and the leg: an operation cannot book the same leg twice
    txn_id         uuid not null,        -- v7; the rows of one txn were committed together
    seq            smallint not null,
    account_id     uuid not null,
    livemode       boolean not null,
    debit_account  uuid not null,
    credit_account uuid not null,
    currency       text not null,
    amount_minor   bigint not null constraint transfer_amount_positive check (amount_minor > 0),
    kind           text not null constraint transfer_kind check (kind in ('posted', 'pending', 'post', 'void')),
    pending_id     uuid constraint transfer_resolves_a_pending references transfer,
    code           text not null,        -- the flow: authorization, sale, refund
    operation_id   uuid not null,
    intent_id      uuid not null,
    order_id       uuid,
    reference      text,
    occurred_at    timestamptz not null default now(),
    constraint transfer_between_two_accounts check (debit_account <> credit_account),
    constraint transfer_pending_id_given check ((kind in ('post', 'void')) = (pending_id is not null)),
    constraint transfer_debit_account foreign key (debit_account, account_id, livemode, currency)
        references ledger_account (id, account_id, livemode, currency),
    constraint transfer_credit_account foreign key (credit_account, account_id, livemode, currency)
        references ledger_account (id, account_id, livemode, currency)
);
create unique index transfer_pending_resolved_once on transfer (pending_id) where kind in ('post', 'void');
create index transfer_intent_id on transfer (intent_id);
