//! The promises about money, as queries for what breaks them. Each reads one snapshot, so that running sagas are
//! seen between their commits only.

use makegood_chassis::invariant::Invariant;

pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        promise: "P4",
        name: "transfers_balance",
        says: "Every transfer moves one amount between two different accounts of one shop, mode and currency.",
        sql: r"select t.id::text as id, jsonb_build_object('debit', t.debit_account, 'credit', t.credit_account) as detail
               from transfer t
               left join ledger_account d on d.id = t.debit_account and d.currency = t.currency
                    and d.account_id = t.account_id and d.livemode = t.livemode
               left join ledger_account c on c.id = t.credit_account and c.currency = t.currency
                    and c.account_id = t.account_id and c.livemode = t.livemode
               where t.debit_account = t.credit_account or t.amount_minor <= 0 or d.id is null or c.id is null",
    },
    Invariant {
        promise: "P4",
        name: "pendings_are_resolved_once",
        says: "A pending transfer is posted or voided at most once, between the same accounts, and for no more than it reserved.",
        sql: r"select p.id::text as id, jsonb_build_object('resolved', count(*), 'amount', p.amount_minor, 'posted', sum(r.amount_minor)) as detail
               from transfer p join transfer r on r.pending_id = p.id
               group by p.id
               having count(*) > 1 or max(r.amount_minor) > p.amount_minor or p.kind <> 'pending'
                   or bool_or(r.debit_account <> p.debit_account or r.credit_account <> p.credit_account)",
    },
    Invariant {
        promise: "P4",
        name: "refunded_within_captured_within_authorized",
        says: "No payment gives back more than it captured, or captures more than was authorized.",
        sql: r"select id::text as id, jsonb_build_object('amount', amount_minor, 'captured', captured_minor, 'refunded', refunded_minor) as detail
               from payment_intent
               where captured_minor > amount_minor or refunded_minor + refunding_minor > captured_minor
                  or least(captured_minor, refunding_minor, refunded_minor) < 0",
    },
    Invariant {
        promise: "P4",
        name: "counters_equal_the_ledger",
        says: "What a payment counts as captured, asked back and given back is what its transfers add up to.",
        sql: r"with booked as (
                   select t.intent_id,
                          coalesce(sum(t.amount_minor) filter (where t.code = 'authorization' and t.kind = 'post'), 0) as captured,
                          coalesce(sum(t.amount_minor) filter (where t.code = 'refund' and t.kind = 'post'), 0) as refunded,
                          coalesce(sum(t.amount_minor) filter (where t.code = 'refund' and t.kind = 'pending'), 0)
                            - coalesce(sum(t.amount_minor) filter (where t.code = 'refund' and t.kind in ('post', 'void')), 0) as refunding
                   from transfer t group by t.intent_id)
               select coalesce(i.id, b.intent_id)::text as id,
                      jsonb_build_object('counted', jsonb_build_array(i.captured_minor, i.refunding_minor, i.refunded_minor),
                                         'booked', jsonb_build_array(b.captured, b.refunding, b.refunded)) as detail
               from payment_intent i full join booked b on b.intent_id = i.id
               where (coalesce(i.captured_minor, -1), i.refunding_minor, i.refunded_minor)
                     is distinct from (coalesce(b.captured, 0), coalesce(b.refunding, 0), coalesce(b.refunded, 0))",
    },
    Invariant {
        promise: "P4",
        name: "succeeded_payments_are_captured",
        says: "A payment that succeeded has captured all that it was for, and no other has captured anything.",
        sql: r"select id::text as id, jsonb_build_object('state', state, 'amount', amount_minor, 'captured', captured_minor) as detail
               from payment_intent
               where captured_minor <> case when state = 'succeeded' then amount_minor else 0 end",
    },
    Invariant {
        promise: "P4",
        name: "clearing_is_empty_at_the_end",
        says: "A payment that has ended leaves nothing in order_clearing and no authorization reserved.",
        sql: r"with clearing as (
                   select t.intent_id,
                          sum(case when t.kind not in ('posted', 'post') then 0
                                   when c.code = 'order_clearing' then t.amount_minor
                                   when d.code = 'order_clearing' then -t.amount_minor else 0 end) as balance,
                          count(*) filter (where t.code = 'authorization' and t.kind = 'pending')
                            - count(*) filter (where t.code = 'authorization' and t.kind in ('post', 'void')) as reserved
                   from transfer t
                   join ledger_account d on d.id = t.debit_account
                   join ledger_account c on c.id = t.credit_account
                   group by t.intent_id)
               select i.id::text as id, jsonb_build_object('state', i.state, 'clearing', c.balance, 'reserved', c.reserved) as detail
               from payment_intent i join clearing c on c.intent_id = i.id
               where i.state in ('succeeded', 'canceled', 'failed') and (c.balance <> 0 or c.reserved <> 0)",
    },
    Invariant {
        promise: "P9",
        name: "no_outcome_stays_unknown",
        says: "No request to the provider has been without a known outcome for more than ten minutes.",
        sql: r"select operation_id::text as id, jsonb_build_object('kind', kind, 'state', state, 'created_at', created_at, 'asked', asked) as detail
               from payment_operation
               where ask_at is not null and state in ('started', 'unknown') and created_at < now() - interval '10 minutes'",
    },
];
