//! Fulfillment's promises as queries. Each is one statement, hence one snapshot, so it is right also while sagas run.

use makegood_chassis::invariant::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        promise: "P6",
        name: "shipments_of_a_saga_agree",
        says: "A saga's shipments are all planned, all cancelled, or all released (of which some may have shipped).",
        sql: r"
            select saga_id::text as id, jsonb_build_object('states', jsonb_agg(distinct state)) as detail
            from shipment
            group by saga_id
            having count(distinct case state when 'shipped' then 'released' else state end) > 1
        ",
    },
    Invariant {
        promise: "P6",
        name: "shipped_shipments_have_a_tracking_number",
        says: "A shipment has a tracking number when it has shipped, and only then.",
        sql: r"
            select id::text as id, jsonb_build_object('state', state, 'tracking_number', tracking_number) as detail
            from shipment
            where (state = 'shipped') <> (tracking_number is not null)
        ",
    },
    Invariant {
        promise: "P6",
        name: "every_shipment_has_lines",
        says: "No parcel is empty, and each of its lines is of one unit at least.",
        sql: r"
            select s.id::text as id, jsonb_build_object('state', s.state, 'lines', s.lines) as detail
            from shipment s
            where jsonb_array_length(s.lines) = 0
               or exists (select from jsonb_array_elements(s.lines) line where (line ->> 'quantity')::bigint <= 0)
        ",
    },
    Invariant {
        promise: "P8",
        name: "only_released_shipments_are_due_for_the_carrier",
        says: "A released shipment is offered to the carrier until it has shipped, and no other one is.",
        sql: r"
            select id::text as id, jsonb_build_object('state', state, 'handover_due_at', handover_due_at) as detail
            from shipment
            where (state = 'released') <> (handover_due_at is not null)
        ",
    },
    Invariant {
        promise: "P8",
        name: "every_shipped_shipment_is_told",
        says: "What has shipped in the last day is in the event log.",
        sql: r"
            select s.id::text as id, jsonb_build_object('shipped_at', s.shipped_at, 'version', s.version) as detail
            from shipment s
            where s.state = 'shipped' and s.changed_at > now() - interval '1 day'
              and not exists (
                select from event_log e
                where e.name = 'shipment.shipped' and e.account_id = s.account_id and e.livemode = s.livemode
                  and e.subject = s.id::text and e.version = s.version
              )
        ",
    },
];
