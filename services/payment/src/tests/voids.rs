//! The undo of an authorization: after it, before it, beside it, and too late.

use makegood_contracts::{command::Direction, reply::Outcome};
use serde_json::json;
use uuid::Uuid;

use super::world::{World, done_with, dropping, healthy, is_defect, is_retry, refused_with};

#[tokio::test]
async fn an_authorization_is_voided_once_and_leaves_nothing() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    assert_eq!(world.void(saga, "pm_card_visa").await, Outcome::done());
    assert_eq!(world.void(saga, "pm_card_visa").await, Outcome::done());
    assert_eq!(world.state(saga).await, "canceled");
    assert_eq!(world.charge(saga).await, Some([10_000, 0, 0, 10_000]));
    assert_eq!(world.transfers(saga).await, ["pending authorization 10000", "void authorization 10000"]);
    assert_eq!(refused_with(&world.capture(saga).await), "payment_not_authorized");
    world.end().await;
}

#[tokio::test]
async fn an_undo_that_comes_first_refuses_the_action_on_both_sides() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    assert_eq!(world.void(saga, "pm_card_visa").await, Outcome::done());
    assert_eq!(world.state(saga).await, "canceled");
    assert_eq!(refused_with(&world.recorded(saga, Direction::Do).await.expect("a tombstone")), "compensated");
    // The barrier keeps it from the handler; should it come through all the same, it starts nothing.
    assert_eq!(refused_with(&world.authorize(saga, "pm_card_visa").await), "compensated");
    assert_eq!(world.charge(saga).await, Some([0, 0, 0, 0]), "the provider would refuse it");
    assert!(world.transfers(saga).await.is_empty());
    world.end().await;
}

#[tokio::test]
async fn an_authorization_of_unknown_outcome_is_voided_wherever_it_is() {
    let world = World::new().await;
    let (taken, lost) = (Uuid::now_v7(), Uuid::now_v7());
    world.set_faults(dropping()).await;
    assert!(is_retry(&world.authorize(taken, "pm_card_visa").await));
    world.set_faults(json!({ "refuse_percent": 100 })).await;
    assert!(is_retry(&world.authorize(lost, "pm_card_visa").await));
    world.set_faults(healthy()).await;
    for saga in [taken, lost] {
        assert_eq!(world.void(saga, "pm_card_visa").await, Outcome::done());
        assert_eq!(world.state(saga).await, "canceled");
    }
    assert_eq!(world.charge(taken).await, Some([10_000, 0, 0, 10_000]));
    assert_eq!(world.charge(lost).await, Some([0, 0, 0, 0]));
    assert_eq!(
        world.transfers(taken).await,
        ["pending authorization 10000", "void authorization 10000"],
        "as the provider has it"
    );
    assert!(world.transfers(lost).await.is_empty());
    assert!(world.inquire().await.is_empty(), "nothing is left to be asked");
    world.end().await;
}

#[tokio::test]
async fn a_void_whose_answer_is_lost_is_asked_for() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    world.set_faults(dropping()).await;
    assert!(is_retry(&world.void(saga, "pm_card_visa").await));
    assert_eq!(world.void(saga, "pm_card_visa").await, Outcome::done());
    assert_eq!(world.charge(saga).await, Some([10_000, 0, 0, 10_000]));
    world.end().await;
}

#[tokio::test]
async fn what_is_captured_is_not_voided_and_what_was_declined_needs_no_void() {
    let world = World::new().await;
    let (captured, declined) = (Uuid::now_v7(), Uuid::now_v7());
    world.authorize(captured, "pm_card_visa").await;
    assert!(!done_with(&world.capture(captured).await).is_null());
    assert!(is_defect(&world.void(captured, "pm_card_visa").await));
    assert_eq!(world.charge(captured).await, Some([10_000, 10_000, 0, 0]));

    world.authorize(declined, "pm_card_chargeDeclined").await;
    assert_eq!(world.void(declined, "pm_card_chargeDeclined").await, Outcome::done());
    assert_eq!(world.state(declined).await, "failed");
    world.end().await;
}

#[tokio::test]
async fn an_action_and_its_undo_at_once_leave_nothing_held() {
    let world = World::new().await;
    for n in 0..30 {
        let saga = Uuid::now_v7();
        let card = if n % 3 == 0 { "pm_card_chargeDeclined" } else { "pm_card_visa" };
        let (_, voided) = tokio::join!(world.authorize(saga, card), world.void(saga, card));
        assert_eq!(voided, Outcome::done(), "{card}");
        assert!(["canceled", "failed"].contains(&world.state(saga).await.as_str()));
        let charge = world.charge(saga).await;
        let [authorized, captured, _, voided] = charge.unwrap_or_default();
        assert_eq!((authorized - voided, captured), (0, 0), "{card}");
        let booked = world.transfers(saga).await.len();
        assert_eq!(booked, if authorized > 0 { 2 } else { 0 }, "our books have what the provider's have");
    }
    world.end().await;
}
