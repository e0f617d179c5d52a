-- How far back sagas that have ended are kept: one row. It is raised before anything is dropped, so that no saga begins where its
-- log may be gone; and never lowered, because what was dropped stays dropped.
create table saga_retention (
    only_row   boolean not null default true constraint saga_retention_key primary key constraint saga_retention_row check (only_row),
    kept_since uuid not null,            -- an id of version 7 before it is past; nothing is past at first
    began      uuid not null             -- the first day that had a table of its own: an id of another version before it lies in none
);
insert into saga_retention (kept_since, began)
select '00000000-0000-0000-0000-000000000000',
       uuidv7_floor(coalesce(min(to_date(right(c.relname, 8), 'YYYYMMDD'))::timestamp at time zone 'UTC', date_trunc('day', now(), 'UTC')))
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent in ('saga_log'::regclass, 'finished_saga'::regclass) and c.relname ~ '_\d{8}$';

-- Drops the log and the ended sagas of one day, by the day in their ids; false when there is nothing to drop, or when one of the
-- day's sagas is still live and so needs its log. The caller bounds how long it may wait for the lock (lock_timeout).
create function drop_day_of_sagas(day date) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    first_id uuid := uuidv7_floor(day::timestamp at time zone 'UTC');
    next_id uuid := uuidv7_floor((day + 1)::timestamp at time zone 'UTC');
    log_of_day text := 'saga_log_' || to_char(day, 'YYYYMMDD');
    ended_of_day text := 'finished_saga_' || to_char(day, 'YYYYMMDD');
begin
    if next_id > (select kept_since from saga_retention) then
        raise exception 'sagas of % are kept', day using errcode = 'restrict_violation';
    end if;
    if to_regclass(log_of_day) is null and to_regclass(ended_of_day) is null then
        return false;
    end if;
    -- Whoever starts or ends a saga holds these until it commits, so what is looked at next is final.
    lock table only saga_log, only finished_saga in access exclusive mode;
    if exists (select from saga where id >= first_id and id < next_id) then
        return false;
    end if;
    execute format('drop table if exists %I', log_of_day);
    execute format('drop table if exists %I', ended_of_day);
    return true;
end $$;
