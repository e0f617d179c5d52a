-- The loyalty programme's own tables.

create table if not exists account (
    customer    text primary key,
    is_closed   boolean not null default false
);

-- One row per award that stands. Nothing here keeps an award from being written twice: that is the barrier's work.
create table if not exists points (
    saga_id     uuid not null,
    step        text not null,
    customer    text not null,
    points      bigint not null
);
create index if not exists points_by_step on points (saga_id, step);
