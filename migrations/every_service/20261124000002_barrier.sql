-- One row per command key: what became of it. Written in the effect's transaction.
create table barrier (
    saga_id     uuid not null,
    step        text not null,
    direction   text not null constraint barrier_direction check (direction in ('do', 'undo')),
    outcome     jsonb not null,          -- contracts::reply::Outcome
    decided_at  timestamptz not null default now(),
    constraint barrier_key primary key (saga_id, step, direction)
) partition by range (saga_id);
create table barrier_other partition of barrier default;
select make_day_partitions('barrier', 1, 7);
