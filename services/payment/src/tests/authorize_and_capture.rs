//! The plain way of the money, asked for once, again, and at once.

use makegood_contracts::command::Direction;
use uuid::Uuid;

use super::world::{World, done_with, is_retry, job, order, refused_with};
use crate::commands::authorize_payment;

#[tokio::test]
async fn money_is_authorized_and_captured_once_however_often_it_is_asked_for() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    let authorized = world.authorize(saga, "pm_card_visa").await;
    assert_eq!(done_with(&authorized)["payment_intent_id"], saga.to_string());
    assert_eq!(world.recorded(saga, Direction::Do).await, Some(authorized.clone()));
    assert_eq!(world.authorize(saga, "pm_card_visa").await, authorized);
    assert_eq!(world.state(saga).await, "requires_capture");

    let captured = world.capture(saga).await;
    assert_eq!(done_with(&captured)["captured"]["amount"], "100.00");
    assert_eq!(world.capture(saga).await, captured);
    assert_eq!(world.state(saga).await, "succeeded");
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 0, 0]));
    assert_eq!(
        world.transfers(saga).await,
        ["pending authorization 10000", "post authorization 10000", "posted sale 10000"]
    );
    world.end().await;
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_and_a_decline_is_a_refusal() {
    let world = World::new().await;
    let cards = [
        ("pm_card_visa", None),
        ("pm_card_chargeDeclinedInsufficientFunds", Some("card_declined")),
        ("pm_card_chargeDeclinedExpiredCard", Some("expired_card")),
        ("pm_card_mastercard", None),
        ("no_such_card", Some("invalid_payment_method")),
        ("", Some("payment_method_invalid")),
    ];
    let payment = |card| {
        let saga = Uuid::now_v7();
        job(saga, "authorize_payment", Direction::Do, order(saga, card))
    };
    let mut jobs: Vec<_> = cards.iter().map(|(card, _)| payment(card)).collect();
    let free = jobs.len();
    jobs.push(payment("pm_card_visa"));
    jobs[free].input.amount.minor_units = 0;

    let outcomes = authorize_payment::handle(&world.cashier, &jobs).await.expect("handles");
    for ((card, code), outcome) in cards.iter().zip(&outcomes) {
        match code {
            Some(code) => assert_eq!(refused_with(outcome), *code, "{card}"),
            None => assert!(!done_with(outcome).is_null(), "{card}"),
        }
    }
    assert_eq!(refused_with(&outcomes[free]), "amount_invalid");
    assert_eq!(world.state(jobs[1].key.saga_id).await, "failed");
    assert!(world.transfers(jobs[1].key.saga_id).await.is_empty());
    let captured = world.capture(jobs[1].key.saga_id).await;
    assert_eq!(refused_with(&captured), "payment_not_authorized", "a declined payment cannot be captured");
    let captured = world.capture(Uuid::now_v7()).await;
    assert_eq!(refused_with(&captured), "payment_not_authorized", "nor one that does not exist");
    world.end().await;
}

#[tokio::test]
async fn a_capture_that_the_provider_declines_is_refused_and_its_authorization_voided() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_sandbox_captureDeclined").await;
    let refused = world.capture(saga).await;
    assert_eq!(refused_with(&refused), "capture_declined");
    assert_eq!(world.capture(saga).await, refused, "for good");
    assert!(!is_retry(&world.void(saga, "pm_card_sandbox_captureDeclined").await));
    assert_eq!(
        (world.state(saga).await.as_str(), world.charge(saga).await),
        ("canceled", Some([10_000, 0, 0, 10_000]))
    );
    world.end().await;
}

#[tokio::test]
async fn equal_commands_at_once_charge_once() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    let outcomes = futures::future::join_all((0..8).map(|_| world.authorize(saga, "pm_card_visa"))).await;
    assert!(outcomes.iter().all(|outcome| outcome == &outcomes[0] && !is_retry(outcome)), "{outcomes:?}");
    let captures = futures::future::join_all((0..8).map(|_| world.capture(saga))).await;
    assert!(captures.iter().all(|outcome| outcome == &captures[0]), "{captures:?}");
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 0, 0]));
    assert_eq!(world.transfers(saga).await.len(), 3);
    world.end().await;
}
