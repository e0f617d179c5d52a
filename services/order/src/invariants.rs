//! What must always be true of checkouts and orders, as queries that find the exceptions.

use makegood_chassis::invariant::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        promise: "P1",
        name: "one_order_per_checkout_token",
        says: "Every order belongs to the one checkout of its token, and no token has two checkouts.",
        sql: r#"
            select o.id::text, jsonb_build_object('checkout', o.checkout_id)
            from orders o left join checkout c on c.id = o.checkout_id and c.order_id = o.id
                 and c.account_id = o.account_id and c.livemode = o.livemode
            where c.id is null
            union all
            select min(id::text), jsonb_build_object('checkouts', count(*))
            from checkout group by account_id, livemode, token_hash having count(*) > 1
        "#,
    },
    Invariant {
        promise: "P3",
        name: "accepted_checkouts_open_or_fail",
        says: "No checkout waits unopened for more than ten minutes: its saga is told again until it answers.",
        sql: r#"
            select id::text, jsonb_build_object('created_at', created_at, 'resend_count', resend_count)
            from checkout
            where decided_at is null and opened_at is null and created_at < now() - interval '10 minutes'
        "#,
    },
    Invariant {
        promise: "P3",
        name: "open_checkouts_are_decided",
        says: "No checkout stays open or unpaid for more than a day: its hold has ended long before.",
        sql: r#"
            select id::text, jsonb_build_object('status', status, 'hold_expires_at', hold_expires_at)
            from checkout
            where decided_at is null and opened_at is not null and created_at < now() - interval '1 day'
              and hold_expires_at < now() - interval '1 day'
        "#,
    },
    Invariant {
        promise: "P3",
        name: "what_the_saga_may_not_know_is_told_again",
        says: "A checkout that is not open yet, or called off and undecided, has a timer that tells its saga again.",
        sql: r#"
            select id::text, jsonb_build_object('status', status, 'cancel_requested', cancel_requested)
            from checkout
            where decided_at is null and resend_at is null and (opened_at is null or cancel_requested)
        "#,
    },
    Invariant {
        promise: "P8",
        name: "order_and_checkout_agree",
        says: "An opened checkout has its order, in the same state (unless cancelled since) and with the same total.",
        sql: r#"
            select c.id::text, jsonb_build_object('checkout', c.status, 'order', o.status, 'total_minor', o.total_minor)
            from checkout c left join orders o on o.id = c.order_id
            where c.opened_at is not null
              and (o.id is null or o.total_minor <> c.opened_total_minor or o.currency <> c.currency
                   or o.status <> case when c.decided_at is null then 'pending' else c.status end)
              and not (o.status = 'cancelled' and c.status = 'completed' and exists (
                   select from order_cancellation x where x.order_id = o.id and x.status = 'completed'))
        "#,
    },
    Invariant {
        promise: "P3",
        name: "wishes_to_cancel_are_decided",
        says: "No cancellation of an order is undecided for more than a day, and one whose saga may not run is told again.",
        sql: r#"
            select id::text, jsonb_build_object('order', order_id, 'status', status)
            from order_cancellation
            where decided_at is null and (created_at < now() - interval '1 day' or (status = 'requested' and resend_at is null))
        "#,
    },
    Invariant {
        promise: "P8",
        name: "cancelled_orders_were_not_shipped",
        says: "An order whose cancellation went through is cancelled, and nothing of it has left.",
        sql: r#"
            select o.id::text, jsonb_build_object('status', o.status, 'fulfillment_status', o.fulfillment_status)
            from order_cancellation c join orders o on o.id = c.order_id
            where c.status = 'completed' and (o.status <> 'cancelled' or o.fulfillment_status <> 'unfulfilled')
        "#,
    },
    Invariant {
        promise: "P2",
        name: "returns_take_no_more_than_was_sold",
        says: "All returns of an order together have no more of a line than was sold, nor more money than it cost; all of it exactly that.",
        sql: r#"
            with taken as (
                select r.order_id, l.line, sum(case when r.status = 'open' then l.quantity else l.received end) as units,
                       sum(case when r.status = 'open' then l.amount_minor else l.refund_minor end) as minor
                from order_return r
                cross join lateral jsonb_to_recordset(r.lines) as l (line text, quantity bigint, amount_minor bigint, received bigint, refund_minor bigint)
                where r.status in ('open', 'received', 'completed')
                group by r.order_id, l.line
            ), of_order as (
                select t.order_id, sum(t.units) as units, sum(t.minor) as minor,
                       bool_or(t.units > coalesce((select (s ->> 'quantity')::bigint from jsonb_array_elements(o.lines) s
                                                   where s ->> 'line' = t.line), 0)) as too_many
                from taken t join orders o on o.id = t.order_id
                group by t.order_id
            )
            select o.id::text, jsonb_build_object('units', t.units, 'minor', t.minor, 'total_minor', o.total_minor)
            from of_order t join orders o on o.id = t.order_id
            where t.too_many or t.minor > o.total_minor
               or (t.minor <> o.total_minor
                   and t.units = (select sum((s ->> 'quantity')::bigint) from jsonb_array_elements(o.lines) s))
        "#,
    },
    Invariant {
        promise: "P4",
        name: "a_return_gives_back_what_its_lines_say",
        says: "What a return gives back is the sum of its lines, and no more goes back into stock than came.",
        sql: r#"
            select r.id::text, jsonb_build_object('status', r.status, 'refund_minor', r.refund_minor, 'restocked_units', r.restocked_units)
            from order_return r
            cross join lateral (
                select sum(l.amount_minor) as announced_minor, sum(l.refund_minor) as refund_minor, sum(l.restock) as restock,
                       bool_or(l.received > l.quantity or l.restock > l.received or l.refund_minor > l.amount_minor) as is_wrong
                from jsonb_to_recordset(r.lines) as l (quantity bigint, amount_minor bigint, received bigint, restock bigint, refund_minor bigint)
            ) l
            where l.is_wrong or r.refund_minor <> case when r.received_at is null then l.announced_minor else l.refund_minor end
               or coalesce(r.restocked_units, 0) > l.restock
        "#,
    },
    Invariant {
        promise: "P3",
        name: "returns_are_decided_and_told",
        says: "No return is undecided a day after its goods were due or came, and one whose saga may not know is told again.",
        sql: r#"
            select id::text, jsonb_build_object('order', order_id, 'status', status, 'received_at', received_at)
            from order_return
            where ended_at is null
              and (coalesce(received_at, receive_by) < now() - interval '1 day'
                   or (resend_at is null and (status = 'cancelled' or not begun)))
        "#,
    },
    Invariant {
        promise: "P8",
        name: "what_comes_back_had_left",
        says: "No order that was cancelled, or is being cancelled, has a return that stands; an order says how much of it came back.",
        sql: r#"
            select o.id::text, jsonb_build_object('status', o.status, 'return_status', o.return_status, 'units', back.units)
            from orders o
            join lateral (
                select sum(l.received) filter (where r.status = 'completed') as units
                from order_return r cross join lateral jsonb_to_recordset(r.lines) as l (received bigint)
                where r.order_id = o.id and r.status in ('open', 'received', 'completed')
                having count(*) > 0
            ) back on true
            where o.status <> 'completed'
               or exists (select from order_cancellation c where c.order_id = o.id and c.status <> 'refused')
               or (coalesce(back.units, 0) = 0) <> (o.return_status = 'none')
               or (o.return_status = 'returned')
                  <> (coalesce(back.units, 0) = (select sum((s ->> 'quantity')::bigint) from jsonb_array_elements(o.lines) s))
        "#,
    },
    Invariant {
        promise: "P8",
        name: "order_events_are_contiguous",
        says: "The events of an order carry the versions 1 to the order's own, without gap or repetition (I8).",
        sql: r#"
            select o.id::text, jsonb_build_object('version', o.version, 'events', e.events, 'last', e.last)
            from orders o
            left join (
                select account_id, livemode, subject, count(*) as events, count(distinct version) as versions,
                       min(version) as first, max(version) as last
                from event_log where name like 'order.%' group by account_id, livemode, subject
            ) e on e.account_id = o.account_id and e.livemode = o.livemode
                and e.subject = 'ord_' || replace(o.id::text, '-', '')
            where e.last is distinct from o.version or e.first <> 1 or e.events <> o.version or e.versions <> o.version
        "#,
    },
];
