-- Allocated stock has no deadline, and it is allocated before payment begins: a hold need not be extended for it any more.
-- Those that were extended are allocated, their stock with them.
with moved as (
    update hold set state = 'allocated', changed_at = now() where state = 'extended'
    returning account_id, livemode, skus, warehouse_ids, quantities
), posting as (
    select m.account_id, m.livemode, l.sku, l.warehouse_id, sum(l.quantity)::bigint as quantity
    from moved m cross join lateral unnest(m.skus, m.warehouse_ids, m.quantities) as l (sku, warehouse_id, quantity)
    group by m.account_id, m.livemode, l.sku, l.warehouse_id
)
update stock s set held = s.held - p.quantity, allocated = s.allocated + p.quantity
from posting p
where s.account_id = p.account_id and s.livemode = p.livemode and s.sku = p.sku and s.warehouse_id = p.warehouse_id;

alter table hold drop constraint hold_state,
    add constraint hold_state check (state in ('held', 'allocated', 'committed', 'released', 'expired'));
