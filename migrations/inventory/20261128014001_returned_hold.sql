-- A receipt of goods that a return brought back names the return and the sale that they came from. Of one sale many returns may
-- bring something back, so this is not `restocked_hold`, which gives a sale back whole and once.
alter table stock_receipt add column return_id uuid;
alter table stock_receipt add column returned_hold uuid constraint stock_receipt_returned_hold references hold (id);
alter table stock_receipt add constraint stock_receipt_return_names_its_sale
    check ((return_id is null) = (returned_hold is null));
create unique index stock_receipt_returned_once on stock_receipt (return_id, sku, warehouse_id) where return_id is not null;
create index stock_receipt_of_returned_hold on stock_receipt (returned_hold) where returned_hold is not null;
