-- Why the carrier will not have a released shipment: until now only a log line said so, and its order was completed.
-- Null in nearly every row, so the index costs the hand-over nothing.
alter table shipment add column carrier_refusal text;
alter table shipment add constraint shipment_refused_only_while_released check (carrier_refusal is null or state = 'released');
create index shipment_refused on shipment (account_id, livemode, id) where carrier_refusal is not null;
