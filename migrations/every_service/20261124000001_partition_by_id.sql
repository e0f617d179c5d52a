-- Tables that grow with every saga are partitioned by the day in their UUIDv7 key, so that old days are dropped, not deleted.
-- The service's role has no DDL; it calls this function, which runs with its owner's rights.

create function uuidv7_floor(instant timestamptz) returns uuid
language sql immutable strict parallel safe as $$
    select (lpad(to_hex(floor(extract(epoch from instant) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

create function make_day_partitions(parent text, days_back int, days_ahead int) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    day timestamptz;
    child text;
begin
    for day in
        select generate_series(date_trunc('day', now(), 'UTC') - make_interval(days => days_back),
                               date_trunc('day', now(), 'UTC') + make_interval(days => days_ahead), interval '1 day')
    loop
        child := format('%s_%s', parent, to_char(day at time zone 'UTC', 'YYYYMMDD'));
        if to_regclass(child) is null then
            execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
                           child, parent, uuidv7_floor(day), uuidv7_floor(day + interval '1 day'));
        end if;
    end loop;
end $$;
