-- Sagas that have ended. The statement that ends a saga moves it here, so that `saga` holds live ones only and work on them
-- costs the same however many have been before. By the day of their id, so that old days are dropped, not deleted.
create table finished_saga (
    id          uuid not null,
    definition  text not null,
    version     integer not null,
    reference   text not null,
    customer    text,
    state       text not null constraint finished_saga_state check (state in ('completed', 'compensated')),
    revision    integer not null,
    progress    json not null,
    input       json not null,
    reason      jsonb,
    traceparent text,
    created_at  timestamptz not null,
    finished_at timestamptz not null default now(),
    constraint finished_saga_key primary key (id)
) partition by range (id);
create table finished_saga_other partition of finished_saga default;
create index finished_saga_reference on finished_saga (reference);
create index finished_saga_customer on finished_saga (customer, id) where customer is not null;
select make_day_partitions('finished_saga', 1, 7);

with moved as (delete from saga where finished_at is not null returning *)
insert into finished_saga (id, definition, version, reference, customer, state, revision, progress, input, reason,
                           traceparent, created_at, finished_at)
select id, definition, version, reference, customer, state, revision, progress, input, reason, traceparent, created_at, finished_at
from moved;

-- What is left is live.
alter table saga drop column finished_at;
alter table saga drop constraint saga_state;
alter table saga add constraint saga_state check
    (state in ('running', 'waiting', 'compensating', 'finishing', 'paused', 'parked'));
-- A definition's row is never deleted, so the check of each new saga against it was for nothing.
alter table saga drop constraint saga_definition;

-- Where people look for sagas: live and ended ones alike.
create view every_saga as
select id, definition, version, reference, customer, state, step, revision, progress, input, reason, traceparent,
       wake_at, parked_at, step_since, created_at, updated_at, null::timestamptz as finished_at
from saga
union all
select id, definition, version, reference, customer, state, null, revision, progress, input, reason, traceparent,
       null, null, finished_at, created_at, finished_at, finished_at
from finished_saga;
