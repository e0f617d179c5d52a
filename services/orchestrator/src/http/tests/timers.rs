//! Timers of sagas that the driver has at hand while an operator moves them.

use axum::http::StatusCode;
use makegood_saga::event::Event;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Shop;

async fn timer(shop: &Shop, id: Uuid) -> Option<OffsetDateTime> {
    sqlx::query_scalar("select wake_at from saga where id = $1").bind(id).fetch_one(shop.db()).await.expect("reads")
}

#[tokio::test]
async fn a_timer_that_was_early_is_set_to_the_true_deadline() {
    let mut shop = Shop::open().await;
    let id = shop.waiting().await;
    let now = shop.advance.clock.now();
    let early = timer(&shop, id).await.expect("a timer");
    assert!(early < now + Duration::minutes(1), "it still is that of the step before");
    shop.feed(id, Event::Woke).await;
    let deadline = timer(&shop, id).await.expect("a timer");
    assert!(deadline > now + Duration::minutes(59), "consent is awaited for an hour");
    assert_eq!(shop.saga(id).await["revision"], 2, "nothing has happened");
    shop.close().await;
}

#[tokio::test]
async fn what_is_due_by_an_operators_hand_is_seen_by_a_driver_that_has_the_saga_as_it_was_before() {
    let mut shop = Shop::open().await;
    let (retried, skipped, paused) = (shop.parked().await, shop.waiting().await, shop.trip().await);
    for (id, verb, body) in
        [(retried, "retry", json!({})), (skipped, "skip", json!({"step": "consent"})), (paused, "pause", json!({}))]
    {
        let (status, answer) = shop.operate(id, verb, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        shop.feed(id, Event::Woke).await;
        let at_hand = shop.cache.take(id).expect("it is at hand");
        assert_eq!(json!(at_hand.revision), answer["revision"], "{verb}");
        assert_eq!(at_hand.wake_at, at_hand.state.wake_at(), "{verb}");
    }
    assert_eq!(timer(&shop, paused).await, None);
    shop.close().await;
}

#[tokio::test]
async fn a_timer_that_comes_after_the_end_is_nothing() {
    let mut shop = Shop::open().await;
    let id = shop.completed().await;
    for event in [Event::Woke, Event::Recovered] {
        shop.feed(id, event).await;
    }
    assert_eq!(shop.saga(id).await["state"], "completed");
    shop.close().await;
}
