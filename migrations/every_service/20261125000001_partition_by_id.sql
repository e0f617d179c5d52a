-- A day is not made where rows of it have come before it was: they lie in the partition of whatever has no day, and so will the
-- rest of that day. One such day (an id from a clock that is wrong by weeks is enough) must not keep the others from being made.
create or replace function make_day_partitions(parent text, days_back int, days_ahead int) returns void
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
            begin
                execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
                               child, parent, uuidv7_floor(day), uuidv7_floor(day + interval '1 day'));
            exception when check_violation then
                raise warning 'rows of % have come before it: they stay in the partition of what has no day', child;
            end;
        end if;
    end loop;
end $$;
