-- Holds that an operator ended by hand, because their saga went on without the step that would have: who did it, and why.
create table hold_ending (
    hold_id   uuid primary key references hold (id),
    ended_as  text not null constraint hold_ending_ended_as check (ended_as in ('committed', 'released')),
    actor     text not null,
    reason    text not null,
    ended_at  timestamptz not null default now()
);
