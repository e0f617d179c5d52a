-- What the foreign keys of a transfer held, looked up once for all rows of a statement instead of once for each key of each row,
-- without locking the accounts that every payment of a shop has in common. A look is enough where a key locks: neither an account
-- nor a transfer is ever changed or deleted, which the triggers beside this one refuse.
create function transfer_points_at_what_is_there() returns trigger language plpgsql set search_path = public, pg_temp as $$
declare
    wrong record;
begin
    -- Scalar subqueries, so that each is one look-up by key however large the tables have become.
    select * into wrong from (
        select added.id, case
            when (select true from ledger_account a where a.id = added.debit_account and a.account_id = added.account_id
                  and a.livemode = added.livemode and a.currency = added.currency) is null then 'transfer_debit_account'
            when (select true from ledger_account a where a.id = added.credit_account and a.account_id = added.account_id
                  and a.livemode = added.livemode and a.currency = added.currency) is null then 'transfer_credit_account'
            when added.pending_id is not null
                 and (select true from transfer p where p.id = added.pending_id) is null then 'transfer_resolves_a_pending'
            end as broken
        from added) as looked_up
    where broken is not null limit 1;
    if found then
        raise exception 'transfer % violates %: both of its accounts must be there, of its shop, mode and currency, and so must the one that it resolves',
            wrong.id, wrong.broken
            using errcode = 'foreign_key_violation', constraint = wrong.broken, table = 'transfer';
    end if;
    return null;
end $$;
create trigger transfer_points_at_what_is_there after insert on transfer
    referencing new table as added
    for each statement execute function transfer_points_at_what_is_there();

alter table transfer
    drop constraint transfer_debit_account,
    drop constraint transfer_credit_account,
    drop constraint transfer_resolves_a_pending;
