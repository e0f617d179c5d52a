-- What the catalog's events say of each product: carts are priced from this copy, never by asking the catalog.
create table price (
    account_id uuid not null,
    livemode   boolean not null,
    sku        text collate "C" not null,
    title      text not null,
    active     boolean not null,
    prices     jsonb not null,              -- {"GBP": 1234}: minor units by currency, replaced as a whole
    version    bigint not null,             -- the product's version; an older event changes nothing
    constraint price_key primary key (account_id, livemode, sku)
);
