-- The ledger is written once. The service's role cannot change it, and triggers refuse everybody else, its owner
-- included; they fire per statement, so that not even an UPDATE of no rows passes unnoticed. The tables are not
-- partitioned: neither grants nor TRUNCATE triggers of a parent hold for a partition that is named directly.
create function refuse_ledger_change() returns trigger language plpgsql as $$
begin
    raise exception '% of % is refused: the ledger is append-only; book a correcting transfer', tg_op, tg_table_name
        using errcode = 'restrict_violation';
end $$;

create trigger transfer_is_append_only before update or delete or truncate on transfer
    for each statement execute function refuse_ledger_change();
create trigger ledger_account_is_append_only before update or delete or truncate on ledger_account
    for each statement execute function refuse_ledger_change();

do $$
begin
    -- A test's database may have no service role.
    if exists (select from pg_roles where rolname = 'makegood_payment') then
        revoke update, delete, truncate on transfer, ledger_account from makegood_payment;
    end if;
end $$;
