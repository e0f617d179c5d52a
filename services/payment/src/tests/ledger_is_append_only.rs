//! What the database itself refuses, to everybody.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::world::{SHOP, World};
use crate::ledger::{Code, account_id};

#[tokio::test]
async fn nobody_changes_deletes_or_truncates_what_was_booked() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    world.capture(saga).await;
    let booked = world.transfers(saga).await;
    for table in ["transfer", "ledger_account"] {
        for statement in [
            format!("update {table} set currency = 'EUR'"),
            format!("update {table} set currency = currency where false"),
            format!("delete from {table}"),
            format!("truncate {table} cascade"),
        ] {
            // The test connects as the tables' owner, and a superuser at that.
            let error = sqlx::query(AssertSqlSafe(statement.clone())).execute(&world.db).await.expect_err("is refused");
            assert!(error.to_string().contains("append-only"), "{statement}: {error}");
        }
    }
    assert_eq!(world.transfers(saga).await, booked);
    world.end().await;
}

#[tokio::test]
async fn no_row_can_unbalance_the_ledger_or_resolve_a_reservation_twice() {
    let world = World::new().await;
    let (saga, other) = (Uuid::now_v7(), Uuid::now_v7());
    world.authorize(saga, "pm_card_visa").await;
    world.authorize(other, "pm_card_visa").await;
    world.capture(saga).await;
    let pending: Uuid = sqlx::query_scalar("select id from transfer where intent_id = $1 and kind = 'pending'")
        .bind(saga)
        .fetch_one(&world.db)
        .await
        .expect("a reservation");
    let account = |code, currency| account_id(SHOP, code, currency);
    let (receivable, clearing) = (account(Code::PspReceivable, "GBP"), account(Code::OrderClearing, "GBP"));
    for (constraint, debit, credit, currency, amount, kind, pending) in [
        ("transfer_between_two_accounts", receivable, receivable, "GBP", 1_i64, "posted", None),
        ("transfer_debit_account", receivable, clearing, "EUR", 1, "posted", None),
        ("transfer_credit_account", receivable, Uuid::nil(), "GBP", 1, "posted", None),
        ("transfer_amount_positive", receivable, clearing, "GBP", 0, "posted", None),
        ("transfer_pending_resolved_once", receivable, clearing, "GBP", 10_000, "void", Some(pending)),
        ("transfer_resolves_a_pending", receivable, clearing, "GBP", 1, "post", Some(Uuid::nil())),
        ("transfer_pending_id_given", receivable, clearing, "GBP", 1, "void", None),
    ] {
        let inserted = sqlx::query(
            r"insert into transfer (id, txn_id, seq, account_id, livemode, debit_account, credit_account, currency, amount_minor,
                                    kind, pending_id, code, operation_id, intent_id)
              values ($1, $1, 0, $2, false, $3, $4, $5, $6, $7, $8, 'test', $1, $9)",
        )
        .bind(Uuid::now_v7())
        .bind(SHOP.id)
        .bind(debit)
        .bind(credit)
        .bind(currency)
        .bind(amount)
        .bind(kind)
        .bind(pending)
        .bind(saga)
        .execute(&world.db)
        .await;
        let error = inserted.expect_err(constraint);
        assert_eq!(error.as_database_error().and_then(|error| error.constraint()), Some(constraint));
    }
    world.end().await;
}
