//! Answers that are lost: before the effect, after it, or for too long.

use makegood_contracts::command::Direction;
use serde_json::json;
use uuid::Uuid;

use super::world::{World, done_with, dropping, healthy, is_retry};

#[tokio::test]
async fn an_answer_that_is_lost_after_its_effect_is_asked_for_and_charges_once() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.set_faults(dropping()).await;
    assert!(is_retry(&world.authorize(saga, "pm_card_visa").await));
    assert_eq!(world.state(saga).await, "processing");
    assert_eq!(world.recorded(saga, Direction::Do).await, None, "a failure is not the step's outcome");
    // Sending is still broken; asking is not.
    assert!(!done_with(&world.authorize(saga, "pm_card_visa").await).is_null());

    assert!(is_retry(&world.capture(saga).await));
    let decisions = world.inquire().await;
    assert_eq!(decisions.len(), 1, "the background learns it too, and tells the step");
    assert_eq!((decisions[0].0.step.as_str(), decisions[0].1.as_str()), ("capture_payment", "reply.0"));
    world.set_faults(healthy()).await;
    assert_eq!(done_with(&world.capture(saga).await), done_with(&decisions[0].2));
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 0, 0]));
    world.end().await;
}

#[tokio::test]
async fn a_request_that_never_arrived_is_sent_again_only_after_asking() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.set_faults(json!({ "refuse_percent": 100 })).await;
    assert!(is_retry(&world.authorize(saga, "pm_card_visa").await));
    assert!(is_retry(&world.authorize(saga, "pm_card_visa").await));
    assert_eq!(world.charge(saga).await, None);
    world.set_faults(healthy()).await;
    assert_eq!(world.inquire().await.len(), 1);
    assert_eq!(world.charge(saga).await, Some([10_000, 0, 0, 0]));
    assert_eq!(world.state(saga).await, "requires_capture");
    world.end().await;
}

#[tokio::test]
async fn the_sandboxes_own_tokens_lose_the_first_answer_before_or_after_its_effect() {
    let world = World::new().await;
    for (card, authorized) in
        [("pm_card_sandbox_timeoutBeforeEffect", None), ("pm_card_sandbox_timeoutAfterEffect", Some([10_000, 0, 0, 0]))]
    {
        let saga = Uuid::now_v7();
        assert!(is_retry(&world.authorize(saga, card).await), "{card}");
        assert_eq!(world.charge(saga).await, authorized, "{card}");
        assert!(!done_with(&world.authorize(saga, card).await).is_null(), "{card}");
        assert_eq!(world.charge(saga).await, Some([10_000, 0, 0, 0]), "{card}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_provider_that_answers_too_late_has_not_answered() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.set_faults(json!({ "delay_ms": 2_500 })).await;
    assert!(is_retry(&world.authorize(saga, "pm_card_visa").await));
    world.set_faults(healthy()).await;
    assert!(!done_with(&world.authorize(saga, "pm_card_visa").await).is_null());
    assert_eq!(world.charge(saga).await, Some([10_000, 0, 0, 0]));
    world.end().await;
}
