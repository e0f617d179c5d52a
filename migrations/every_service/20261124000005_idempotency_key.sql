-- One key, one answer. Partitions by UTC day are dropped once a day is older than the 24 h for which keys live.
create table idempotency_key (
    day          date not null,
    account_id   uuid not null,
    livemode     boolean not null,
    key_hash     bytea not null,         -- HMAC of the client's key
    fingerprint  bytea not null,         -- HMAC over method, path and canonical body
    resource     uuid,                   -- the answer becomes known with this resource (deferred)
    status       smallint,               -- null while deferred; and, with no resource either, in the claiming transaction only
    body         text,
    location     text,
    created_at   timestamptz not null default now(),
    constraint idempotency_key_key primary key (day, account_id, livemode, key_hash)
) partition by range (day);

create function make_key_partitions() returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    day date;
    old record;
begin
    for day in select ((now() at time zone 'UTC')::date + i) from generate_series(-1, 2) i loop
        if to_regclass('idempotency_key_' || to_char(day, 'YYYYMMDD')) is null then
            execute format('create table if not exists %I partition of idempotency_key for values from (%L) to (%L)',
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
select make_key_partitions();
