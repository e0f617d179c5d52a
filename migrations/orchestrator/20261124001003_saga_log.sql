-- What happened to a saga, one row per revision: the event, and what was sent because of it. Inputs that were sent are not
-- repeated here: they follow from the definition and the outputs so far.
create table saga_log (
    saga_id   uuid not null,
    revision  integer not null,
    at        timestamptz not null default now(),
    event     json not null,             -- makegood_saga::event::Event
    sent      json,                      -- [{step, direction, attempt, deadline}]
    constraint saga_log_key primary key (saga_id, revision)
) partition by range (saga_id);
create table saga_log_other partition of saga_log default;
select make_day_partitions('saga_log', 1, 7);
