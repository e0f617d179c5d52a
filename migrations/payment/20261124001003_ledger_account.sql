-- Where money is said to be: per shop and mode, code and currency. The id is a v5 of those four, so that nobody has
-- to look it up.
create table ledger_account (
    id         uuid primary key,
    account_id uuid not null,
    livemode   boolean not null,
    code       text not null constraint ledger_account_code check
        (code in ('psp_receivable', 'order_clearing', 'sales', 'refund_contra')),
    currency   text not null constraint ledger_account_currency check (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null default now(),
    constraint ledger_account_natural_key unique (account_id, livemode, code, currency),
    -- What a transfer's foreign keys point at: both ends belong to one shop and mode and have one currency.
    constraint ledger_account_of_shop_and_currency unique (id, account_id, livemode, currency)
);
