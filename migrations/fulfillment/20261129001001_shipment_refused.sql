-- Why the carrier will not have a released shipment: until now only a log line said so, and its order was completed.
-- Null in nearly every row, so the index costs the hand-over nothing. It means something while the shipment is released; processes of
-- the release before this one leave it behind, so no constraint says so yet.
alter table shipment add column carrier_refusal text;
create index shipment_refused on shipment (account_id, livemode, id) where carrier_refusal is not null;
