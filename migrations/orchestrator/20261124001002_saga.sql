-- One row per saga: how far it has come. The context is not here but in the log: it is the input and the outputs.
--
-- Updated a dozen times in its life, so nothing that changes on the way is indexed: wake_at is moved lazily (it is never
-- later than the true deadline, and mostly set once), and half of each page is left free for HOT updates.
create table saga (
    id          uuid not null constraint saga_key primary key,
    definition  text not null,
    version     integer not null,
    reference   text not null,           -- what people search for: the order's id
    customer    text,
    state       text not null constraint saga_state check
                (state in ('running', 'waiting', 'compensating', 'finishing', 'parked', 'completed', 'compensated')),
    step        text,                    -- the current one; null once ended
    revision    integer not null,        -- every write checks and raises it; the log has one row for each
    progress    json not null,           -- makegood_saga::state::State without its context
    input       json not null,
    reason      jsonb,                   -- why it was undone or parked
    traceparent text,
    wake_at     timestamptz,             -- when it must be looked at at the latest; null: never
    parked_at   timestamptz,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    finished_at timestamptz,
    constraint saga_definition foreign key (definition, version) references definition (name, version),
    constraint saga_finished check ((finished_at is not null) = (state in ('completed', 'compensated'))),
    constraint saga_parked check ((parked_at is not null) = (state = 'parked'))
) with (fillfactor = 50);
create index saga_wake on saga (wake_at) where wake_at is not null;
create index saga_live on saga (id) where finished_at is null;
create index saga_parked_index on saga (parked_at) where parked_at is not null;
create index saga_reference on saga (reference);
create index saga_customer on saga (customer, id) where customer is not null;
