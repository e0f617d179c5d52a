-- A receipt of goods that came back names the sale that they came from; of one sale each line comes back once.
alter table stock_receipt add column restocked_hold uuid constraint stock_receipt_restocked_hold references hold (id);
create unique index stock_receipt_restocked_once on stock_receipt (restocked_hold, sku, warehouse_id)
    where restocked_hold is not null;
