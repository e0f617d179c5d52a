-- What operators did, with their reason: written in the transaction that did it, never changed.
create table audit (
    id        uuid not null constraint audit_key primary key,
    at        timestamptz not null default now(),
    actor     text not null,
    action    text not null,             -- retry, compensate, resolve
    saga_id   uuid not null,
    reason    text not null,
    detail    jsonb
);
create index audit_saga on audit (saga_id, id);
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'audit rows are never changed' using errcode = 'restrict_violation';
end $$;
create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function audit_is_append_only();
