-- What the benchmark's participant does: one row per step of a saga.
create table effect (
    saga_id   uuid not null,
    step      text not null,
    made_at   timestamptz not null default now(),
    undone_at timestamptz,
    constraint effect_key primary key (saga_id, step)
) with (fillfactor = 80);
