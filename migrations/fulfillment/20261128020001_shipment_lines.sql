-- What is in a parcel is written once with it, never changed and always read whole: one jsonb array on its row, as an order's
-- lines are, instead of a row, an index entry and a foreign key's look-up for each line.
alter table shipment add column lines jsonb;
update shipment s set lines =
    (select jsonb_agg(jsonb_build_object('sku', l.sku, 'quantity', l.quantity) order by l.sku) from shipment_line l where l.shipment_id = s.id);
alter table shipment alter column lines set not null;
alter table shipment add constraint shipment_has_lines check (jsonb_array_length(lines) > 0);
drop table shipment_line;
