//! What is told again, when, and when no more.

use makegood_contracts::order::CONFIRMATION;
use makegood_testing::TestDatabase;

use super::*;
use crate::{MIGRATOR, commands::tests::open, invariants::INVARIANTS, test_checkout::accepted};

/// Makes every timer due.
async fn let_time_pass(db: &PgPool) {
    sqlx::query("update checkout set resend_at = now() - interval '1 s' where resend_at is not null")
        .execute(db)
        .await
        .expect("updates");
}

/// How many starts, signals and cancellations a round tells.
async fn counts(db: &PgPool) -> (usize, usize, usize) {
    let messages = take_due(db).await.expect("takes");
    (messages.starts.len(), messages.signals.len(), messages.cancels.len())
}

#[tokio::test]
async fn a_saga_is_told_again_until_it_shows_that_it_knows() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let db = &database.db;
    let confirmed = accepted(db, "k1", Some("pm_card_visa")).await;
    let plain = accepted(db, "k2", None).await;
    assert_eq!(counts(db).await, (0, 0, 0), "nothing is due before its time");

    let_time_pass(db).await;
    let messages = take_due(db).await.expect("takes");
    let start =
        messages.starts.iter().find(|start| start.saga_id == confirmed).expect("the start of the confirmed one");
    assert!(start.signals.contains_key(CONFIRMATION), "a confirmation in the call goes with the start");
    assert_eq!((messages.starts.len(), messages.signals.len()), (2, 0));
    assert_eq!(counts(db).await, (0, 0, 0), "the next timer is set");

    open(db, &[confirmed, plain]).await;
    let_time_pass(db).await;
    assert_eq!(counts(db).await, (0, 0, 0), "opening shows that the saga has started");

    sqlx::query("update checkout set status = 'processing', confirmation = $2, cancel_requested = true, resend_at = now() where id = $1")
        .bind(plain)
        .bind(serde_json::json!({"payment_method": "pm_card_visa"}))
        .execute(db)
        .await
        .expect("confirms and cancels");
    let_time_pass(db).await;
    assert_eq!(counts(db).await, (0, 1, 1), "a later confirmation and a cancellation are told by themselves");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_up_no_other() {
    let database = TestDatabase::create("order", &MIGRATOR).await;
    let db = &database.db;
    let damaged = accepted(db, "k1", None).await;
    let healthy = accepted(db, "k2", None).await;
    let set_total = async |total: Option<serde_json::Value>| {
        sqlx::query("update checkout set expected_total = $2 where id = $1")
            .bind(damaged)
            .bind(total)
            .execute(db)
            .await
            .expect("updates");
    };
    set_total(Some(serde_json::json!({"amount": "much", "currency": "GBP"}))).await;
    let_time_pass(db).await;
    let messages = take_due(db).await.expect("takes");
    assert_eq!(messages.starts.iter().map(|start| start.saga_id).collect::<Vec<_>>(), [healthy]);

    set_total(None).await;
    let_time_pass(db).await;
    assert_eq!(counts(db).await, (2, 0, 0), "it is told once somebody has mended it");
    database.verify_and_drop(INVARIANTS).await;
}
