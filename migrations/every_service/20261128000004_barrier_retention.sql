-- Until when commands may still come: one row. The orchestrator keeps ended sagas for a time and then drops them by the day; what
-- they did here is forgotten after that, a day at a time, and commands of theirs are refused from then on.
create table barrier_retention (
    only_row    boolean not null default true constraint barrier_retention_key primary key constraint barrier_retention_row check (only_row),
    gone_before uuid not null,           -- an id of version 7 before it is of a saga that is gone; none is at first
    began       uuid not null            -- the first day that had a table of its own: an id of another version before it lies in none
);
insert into barrier_retention (gone_before, began)
select '00000000-0000-0000-0000-000000000000',
       uuidv7_floor(coalesce(min(to_date(right(c.relname, 8), 'YYYYMMDD'))::timestamp at time zone 'UTC', date_trunc('day', now(), 'UTC')))
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'barrier'::regclass and c.relname ~ '_\d{8}$';

-- Drops the oldest day of the barrier if all of it lies before this id; null when none does. A row of a day without a table lies in
-- barrier_other, so a check there refuses commands of sagas that are gone: without their rows nobody could tell whether they
-- have been done. The caller bounds how long it may wait for the lock (lock_timeout).
create function drop_oldest_day_of_barrier(before uuid) returns date
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    oldest date;
    limit_id uuid;
    first_id uuid;
    days constant text := $days$
        select min(to_date(right(c.relname, 8), 'YYYYMMDD'))
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'barrier'::regclass and c.relname ~ '^barrier_\d{8}$' $days$;
begin
    -- What is told by a clock that is wrong, or by nobody who may, does not reach what is being done now.
    if before > uuidv7_floor(now() - interval '1 day') then
        raise exception 'barrier rows of the last day are kept' using errcode = 'restrict_violation';
    end if;
    execute days into oldest;
    if oldest is null or uuidv7_floor((oldest + 1)::timestamp at time zone 'UTC') > before then
        return null;
    end if;
    -- Whoever handles a command holds it until it commits. Another replica may have dropped the day meanwhile.
    lock table only barrier in access exclusive mode;
    execute days into oldest;
    limit_id := uuidv7_floor((oldest + 1)::timestamp at time zone 'UTC');
    if limit_id is null or limit_id > before then
        return null;
    end if;
    update barrier_retention set gone_before = greatest(gone_before, limit_id)
    returning gone_before, began into strict limit_id, first_id;
    delete from barrier_other
    where saga_id < limit_id and (saga_id >= first_id or uuid_extract_version(saga_id) is not distinct from 7);
    -- Not validated: the rows that it would refuse have just been deleted, and all others need not be read for it.
    alter table barrier_other drop constraint if exists barrier_saga_is_not_gone;
    execute format('alter table barrier_other add constraint barrier_saga_is_not_gone
                    check (not (saga_id < %L and (saga_id >= %L or uuid_extract_version(saga_id) is not distinct from 7))) not valid',
                   limit_id, first_id);
    execute format('drop table %I', 'barrier_' || to_char(oldest, 'YYYYMMDD'));
    return oldest;
end $$;

-- How far it is only the function writes, and only the service's role may call that; a test's database has no such role.
revoke execute on function drop_oldest_day_of_barrier(uuid) from public;
do $$
begin
    if exists (select from pg_roles where rolname = current_database()) then
        execute format('revoke insert, update, delete on barrier_retention from %I', current_database());
        execute format('grant execute on function drop_oldest_day_of_barrier(uuid) to %I', current_database());
    end if;
end $$;
