-- Each shop reads its own audit, also when the sagas are gone: a row carries the account of its saga. One without is of a
-- saga that belongs to no account, and anybody's who holds an admin key, as the saga is.
alter table audit
    add column account_id uuid,
    add column livemode boolean,
    add column bulk_operation_id uuid,       -- none: the saga was worked alone
    add constraint audit_action check
        (action in ('retry', 'skip', 'compensate', 'resolve', 'pause', 'resume', 'cancel', 'signal', 'move'));
create index audit_actor on audit (actor, id);
create index audit_bulk_operation on audit (bulk_operation_id) where bulk_operation_id is not null;
