-- A key is claimed in a row without its answer, and most are answered a moment later: then the row has grown by the answer's
-- body. With room on its own page for that the update is heap-only, and writes no second entry into the index,
-- whose order is that of hashes, so that nearly each entry touches a page of its own.
create or replace function make_key_partitions() returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    day date;
    old record;
begin
    for day in select ((now() at time zone 'UTC')::date + i) from generate_series(-1, 2) i loop
        if to_regclass('idempotency_key_' || to_char(day, 'YYYYMMDD')) is null then
            execute format('create table if not exists %I partition of idempotency_key for values from (%L) to (%L)
                            with (fillfactor = 20)',
                           'idempotency_key_' || to_char(day, 'YYYYMMDD'), day, day + 1);
        end if;
    end loop;
    for old in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'idempotency_key'::regclass
          and c.relname < 'idempotency_key_' || to_char((now() at time zone 'UTC')::date - 1, 'YYYYMMDD')
    loop
        execute format('drop table %I', old.relname);
    end loop;
end $$;
-- Days that were made ahead of time.
do $$
declare
    ahead record;
begin
    for ahead in select inhrelid::regclass as name from pg_inherits where inhparent = 'idempotency_key'::regclass loop
        execute format('alter table %s set (fillfactor = 20)', ahead.name);
    end loop;
end $$;
