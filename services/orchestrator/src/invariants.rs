//! What the orchestrator promises of its own tables.

use makegood_chassis::invariant::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        promise: "P3",
        name: "no_saga_is_forgotten",
        says: "Every saga that has not ended has a deadline, waits for a signal with one, or is parked or paused with its reason.",
        sql: r"select id::text, jsonb_build_object('state', state, 'step', step, 'updated_at', updated_at) as detail
               from saga
               where (state not in ('parked', 'paused') and wake_at is null)
                  or (state not in ('parked', 'paused') and wake_at < now() - interval '2 minutes')
                  or (state in ('parked', 'paused') and reason is null)",
    },
    Invariant {
        promise: "P3",
        name: "a_sagas_log_has_no_gap",
        says: "A saga's log has exactly one row for each of its revisions.",
        sql: r"select s.id::text, jsonb_build_object('revision', s.revision, 'rows', count(l.*), 'last', max(l.revision)) as detail
               from every_saga s left join saga_log l on l.saga_id = s.id
               group by s.id, s.revision
               having count(l.*) <> s.revision or max(l.revision) is distinct from s.revision",
    },
    Invariant {
        promise: "P3",
        name: "a_saga_is_live_or_has_ended",
        says: "A saga that has ended is not live too.",
        sql: r"select id::text, jsonb_build_object('state', saga.state, 'ended', finished_saga.state) as detail
               from saga join finished_saga using (id)",
    },
    Invariant {
        promise: "P6",
        name: "a_step_is_decided_once",
        says: "No step of a saga is answered as done twice in the same direction with different contents.",
        sql: r"select saga_id::text, jsonb_build_object('step', event ->> 'step', 'answers', count(distinct event ->> 'outcome')) as detail
               from saga_log
               where event ->> 'event' = 'replied' and event -> 'outcome' ->> 'status' = 'done'
               group by saga_id, event ->> 'step', event ->> 'direction'
               having count(distinct event ->> 'outcome') > 1",
    },
];
