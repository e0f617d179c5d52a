//! Hints of the provider: signed, kept once, never believed.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use makegood_chassis::secret::hex;
use makegood_contracts::{command::Direction, reply::Outcome};
use serde_json::json;
use sha2::Sha256;
use uuid::Uuid;

use super::world::{World, key};
use crate::operation::id_of_step;

/// Posts a callback, signed with the shared key at a time so many seconds from now.
pub(super) async fn post(world: &World, body: &str, seconds_from_now: i64) -> u16 {
    let now: i64 =
        sqlx::query_scalar("select extract(epoch from now())::bigint").fetch_one(&world.db).await.expect("a time");
    let signed_at = now + seconds_from_now;
    let shared = hex(&world.secret.mac("provider-callback", &[]));
    let mut mac = Hmac::<Sha256>::new_from_slice(shared.as_bytes()).expect("a key");
    mac.update(format!("{signed_at}.{body}").as_bytes());
    let signature = format!("t={signed_at},v1={}", hex(&mac.finalize().into_bytes()));
    let request =
        world.http.post(format!("{}/v1/provider/callbacks", world.payment_url)).header("provider-signature", signature);
    request
        .header("content-type", "application/json")
        .body(body.to_owned())
        .send()
        .await
        .expect("answers")
        .status()
        .as_u16()
}

async fn stored(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from provider_callback").fetch_one(&world.db).await.expect("counts")
}

#[tokio::test]
async fn a_callback_is_a_hint_that_is_kept_once_and_believed_never() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_authenticationRequired").await;
    let operation_id = id_of_step(&key(saga, "authorize_payment", Direction::Do));
    // It claims a success; nobody reads that.
    let body = json!({ "event_id": "evt_1", "operation_id": operation_id, "status": "succeeded" }).to_string();
    assert_eq!(post(&world, &body, 330).await, 400);
    assert_eq!(post(&world, &body, -330).await, 400);
    assert_eq!(stored(&world).await, 0);
    for _ in 0..3 {
        assert_eq!(post(&world, &body, 0).await, 204);
    }
    assert_eq!(stored(&world).await, 1);
    let due: bool = sqlx::query_scalar("select ask_at <= clock_timestamp() from payment_operation")
        .fetch_one(&world.db)
        .await
        .expect("reads");
    assert!(due);
    assert!(world.inquire().await.is_empty());
    assert_eq!(world.state(saga).await, "requires_action");

    let unknown = json!({ "event_id": "evt_2", "operation_id": Uuid::now_v7() }).to_string();
    assert_eq!(post(&world, &unknown, 0).await, 404, "not acked away");
    assert_eq!(post(&world, r#"{"event_id":"","operation_id":"x"}"#, 0).await, 422);
    assert_eq!(stored(&world).await, 1);
    world.end().await;
}

#[tokio::test]
async fn the_sandboxes_callbacks_arrive_twice_and_signed_and_make_the_operation_due() {
    let world = World::new().await;
    world.set_faults(json!({ "duplicate_callbacks": 2, "late_callbacks_ms": 50 })).await;
    let saga = Uuid::now_v7();
    let Outcome::Pending { detail, .. } = world.authorize(saga, "pm_card_authenticationRequired").await else {
        panic!("expected an action")
    };
    let url = detail["redirect_url"].as_str().expect("an address");
    world.http.post(url).json(&json!({ "outcome": "authenticated" })).send().await.expect("answers");

    // The sandbox sends on its own time; a few seconds are many of its rounds.
    let delivered = async {
        while sqlx::query_scalar::<_, i64>("select count(*) from provider_callback where due_at is null")
            .fetch_one(&world.provider_db)
            .await
            .expect("counts")
            < 3
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), delivered).await.expect("all three are taken");
    assert_eq!(stored(&world).await, 1, "one event");
    let (asked, decisions) = crate::operation_inquiry::ask_due(&world.cashier).await.expect("asks");
    assert_eq!((asked, decisions.len()), (1, 1), "the callback made it due");
    world.end().await;
}
