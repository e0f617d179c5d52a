-- When the carrier was first told of a shipment, set before the call: from then on the carrier may have it, whatever is known.
alter table shipment add column offered_at timestamptz;
-- Shipments from before this column that are released may have been offered.
update shipment set offered_at = coalesce(handed_over_at, shipped_at, changed_at) where state in ('released', 'shipped');
