-- What is in the parcel.
create table shipment_line (
    shipment_id uuid not null constraint shipment_line_shipment references shipment (id),
    sku         text collate "C" not null,
    quantity    bigint not null constraint shipment_line_quantity check (quantity > 0),
    constraint shipment_line_key primary key (shipment_id, sku)
);
