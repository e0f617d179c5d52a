-- What operators do about dead letters: send them again, or let them go. One that is to be sent again is its own outbox: redrive_at
-- says when it is next published, until it was.
alter table dead_letter add column redrive_at timestamptz;
create index dead_letter_redrive on dead_letter (redrive_at) where redrive_at is not null;

-- Written in the transaction that decided, never changed.
create table dead_letter_audit (
    id             uuid not null constraint dead_letter_audit_key primary key,
    at             timestamptz not null default now(),
    dead_letter_id uuid not null,
    actor          text not null,
    action         text not null constraint dead_letter_audit_action check (action in ('redrive', 'discard')),
    reason         text not null
);
create index dead_letter_audit_letter on dead_letter_audit (dead_letter_id, id);
create function dead_letter_audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'audit rows are never changed' using errcode = 'restrict_violation';
end $$;
create trigger dead_letter_audit_append_only before update or delete or truncate on dead_letter_audit
    for each statement execute function dead_letter_audit_is_append_only();
