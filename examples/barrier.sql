-- What every participant needs beside its own tables, whatever its language. It makes a command take effect once:
--
--   select barrier_claim(key)             null: the command is new, so run it. Otherwise what it was answered: answer that.
--   …the effect, in the same transaction…
--   select barrier_decide(key, outcome)   stores the answer. A `failed` is none: roll back instead, or no attempt runs again.
--
-- Rolled back together, committed together: there is no effect without its row here, and no row without its effect.

create table if not exists barrier (
    saga_id     uuid not null,
    step        text not null,
    direction   text not null check (direction in ('do', 'undo')),
    outcome     jsonb,                  -- null only inside the transaction that is deciding it
    decided_at  timestamptz not null default now(),
    primary key (saga_id, step, direction)
);

-- Messages that are no commands, kept with the reason: nothing is dropped unread.
create table if not exists dead_letter (
    subject     text not null,
    payload     bytea not null,
    reason      text not null,
    parked_at   timestamptz not null default now()
);

create or replace function barrier_claim(key jsonb) returns jsonb language plpgsql as $$
declare
    saga    uuid := key ->> 'saga_id';
    action  text := key ->> 'step';
    way     text := key ->> 'direction';
    done    jsonb := '{"status": "done"}';
begin
    -- Who comes second waits here until the first has committed or rolled back.
    insert into barrier (saga_id, step, direction) values (saga, action, way) on conflict do nothing;
    if not found then
        return (select outcome from barrier where (saga_id, step, direction) = (saga, action, way));
    end if;
    if way = 'undo' then
        -- A tombstone: an action that comes after its own undoing is refused.
        insert into barrier (saga_id, step, direction, outcome)
        values (saga, action, 'do', '{"status": "refused", "code": "compensated", "detail": "the step was undone before it came"}')
        on conflict do nothing;
        -- Whoever settles the action at this moment is waited for: then it is undone.
        perform from barrier where (saga_id, step, direction) = (saga, action, 'do') for update;
        -- Nothing has taken effect, so there is nothing to undo.
        if (select outcome ->> 'status' from barrier where (saga_id, step, direction) = (saga, action, 'do')) = 'refused' then
            perform barrier_decide(key, done);
            return done;
        end if;
    end if;
    return null;
end $$;

create or replace function barrier_decide(key jsonb, decided jsonb) returns void language plpgsql as $$
begin
    -- Stored, it would be the answer to each further attempt.
    if decided ->> 'status' = 'failed' then
        raise exception 'a failure is not stored: roll back what the command did, and answer it';
    end if;
    update barrier set outcome = decided
    where (saga_id, step, direction) = ((key ->> 'saga_id')::uuid, key ->> 'step', key ->> 'direction');
end $$;

-- For an action that was answered `pending`, once somebody outside has decided, in the transaction of the effect:
--
--   select barrier_settle(key, outcome)   null: it is decided so, now and once; make the effect of a `done`. Otherwise what was decided before:
--                                         make none.
--
-- An action that was undone meanwhile stays undone: it answers `compensated`. The saga learns of it when the step is asked again, within half
-- a minute; a reply on the command's `reply_to` with attempt 0 tells it at once.
create or replace function barrier_settle(key jsonb, decided jsonb) returns jsonb language plpgsql as $$
declare
    saga        uuid := key ->> 'saga_id';
    action      text := key ->> 'step';
    known       jsonb;
    compensated jsonb := '{"status": "refused", "code": "compensated", "detail": "the step was undone before it was decided"}';
begin
    if coalesce(decided ->> 'status', '') not in ('done', 'refused') then
        raise exception 'a step is settled as done or as refused, not as %', decided;
    end if;
    -- Who settles at the same time waits here, and so does an undo. (At READ COMMITTED, PostgreSQL's own level: what follows sees what they did.)
    select outcome into known from barrier where (saga_id, step, direction) = (saga, action, 'do') for update;
    if known is null then
        raise exception 'the step % of saga % is not answered, so there is nothing to settle (yet)', action, saga;
    end if;
    if known ->> 'status' <> 'pending' then
        return known;
    end if;
    key := jsonb_build_object('saga_id', saga, 'step', action, 'direction', 'do');
    if exists (select from barrier where (saga_id, step, direction) = (saga, action, 'undo')) then
        perform barrier_decide(key, compensated);
        return compensated;
    end if;
    perform barrier_decide(key, decided);
    return null;
end $$;

-- Whether a message is no array of commands. Then it is a dead letter by now, and may be acked.
create or replace function park_if_unreadable(subject text, body bytea) returns boolean language plpgsql as $$
declare
    readable text;
    item jsonb;
begin
    -- A NUL in one payload, which jsonb cannot hold, must not make the whole message unreadable.
    readable := replace(convert_from(body, 'UTF8'), '\u0000', '\u0020');
    for item in select jsonb_array_elements(readable::jsonb) loop
        if (item #>> '{key,saga_id}')::uuid is null
            or item #>> '{key,step}' is null
            or coalesce(item #>> '{key,direction}', '') not in ('do', 'undo')
            or (item ->> 'attempt')::bigint is null
            or item ->> 'reply_to' is null
            or item -> 'payload' is null
        then
            raise data_exception using message = format('no command: %s', item);
        end if;
        perform (item ->> 'deadline')::timestamptz;
    end loop;
    return false;
exception when data_exception then
    insert into dead_letter (subject, payload, reason) values (subject, body, sqlerrm);
    return true;
end $$;
