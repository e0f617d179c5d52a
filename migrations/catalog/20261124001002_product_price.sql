-- What a product costs, once per currency that it is sold in. Rows change only together with product.version.
create table product_price (
    account_id   uuid not null,
    livemode     boolean not null,
    sku          text collate "C" not null,
    currency     text not null,
    amount_minor bigint not null constraint product_price_not_negative check (amount_minor >= 0),
    constraint product_price_key primary key (account_id, livemode, sku, currency),
    constraint product_price_product foreign key (account_id, livemode, sku) references product on delete cascade
);
