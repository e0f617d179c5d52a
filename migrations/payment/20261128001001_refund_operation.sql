-- Only refunds have a refund, and most operations are none: those need no entry in this index, neither when they are written
-- nor when they are decided.
alter table payment_operation drop constraint payment_operation_refund_id;
create unique index payment_operation_refund_id on payment_operation (refund_id) where refund_id is not null;
