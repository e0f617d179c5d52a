-- Days of keys are made apart from the dropping of old ones: somebody who reads an old day for long keeps it from being dropped, and must not keep
-- tomorrow from being made, without which no key could be claimed. A day is attached, not created in place: that waits for nobody who reads or
-- writes the other days.
create or replace function make_key_partitions() returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    day date;
    name text;
begin
    for day in select ((now() at time zone 'UTC')::date + i) from generate_series(-1, 2) i loop
        name := 'idempotency_key_' || to_char(day, 'YYYYMMDD');
        if to_regclass(name) is null then
            execute format('create table %I (like idempotency_key including all) with (fillfactor = 20)', name);
            execute format('alter table idempotency_key attach partition %I for values from (%L) to (%L)', name, day, day + 1);
        end if;
    end loop;
end $$;

create function drop_key_partitions() returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    old record;
begin
    for old in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'idempotency_key'::regclass
          and c.relname < 'idempotency_key_' || to_char((now() at time zone 'UTC')::date - 1, 'YYYYMMDD')
    loop
        execute format('drop table %I', old.relname);
    end loop;
end $$;
