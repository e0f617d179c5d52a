-- The lines of carts. There is no foreign key to cart on purpose: it would lock and rewrite the cart's row once more for
-- each cart that is made. Every statement that writes lines holds the cart's row (same statement, conditional update), and
-- the invariant every_line_has_its_cart looks for what slipped through.
create table cart_line (
    cart_id          uuid not null,
    line             text collate "C" not null,   -- the line's name: the SKU, unless one SKU stands twice
    sku              text collate "C" not null,
    quantity         bigint not null constraint cart_line_quantity check (quantity between 1 and 1000000),
    unit_price_minor bigint not null constraint cart_line_price_not_negative check (unit_price_minor >= 0),
    title            text not null,               -- as it was when the line was priced
    own_price        boolean not null,            -- set by the shop's server, not taken from the catalog
    constraint cart_line_key primary key (cart_id, line)
);
