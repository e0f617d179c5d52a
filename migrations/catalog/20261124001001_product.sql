-- What a shop sells. The version grows by one with each change that an event tells of, and is the ETag on HTTP.
create table product (
    account_id uuid not null,
    livemode   boolean not null,
    sku        text collate "C" not null,   -- "C": the order of bytes, the same here, in indexes and in Rust
    title      text not null,
    active     boolean not null,            -- false: withdrawn from sale
    version    bigint not null constraint product_version_positive check (version > 0),
    updated_at timestamptz not null default now(),
    constraint product_key primary key (account_id, livemode, sku)
);
