-- The gift wrapping's own tables.

create table if not exists paper (
    kind        text primary key,
    is_in_stock boolean not null default true
);

-- One row per gift that is wrapped. Nothing here keeps a gift from being wrapped twice: that is the barrier's work.
create table if not exists wrapping (
    saga_id     uuid not null,
    step        text not null,
    kind        text not null references paper
);
create index if not exists wrapping_by_step on wrapping (saga_id, step);
