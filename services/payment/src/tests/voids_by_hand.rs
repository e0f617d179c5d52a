//! An authorization that an operator lets go, because its saga could not and has ended.

use makegood_contracts::{
    command::{Direction, StepKey},
    id::PaymentIntentId,
    reply::Outcome,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{World, dropping, healthy, is_retry};
use crate::operation::id_of_step;

/// Asks for a void under a key of its own.
async fn void(world: &World, saga: Uuid, body: &Value) -> (StatusCode, Value) {
    let id = PaymentIntentId::from_uuid(saga);
    let request = world.http.post(format!("{}/v1/admin/payment_intents/{id}/void", world.payment_url));
    let key = Uuid::now_v7().to_string();
    let request = request.bearer_auth(&world.admin_key).header("idempotency-key", key).json(body);
    let response = request.send().await.expect("answers");
    (response.status(), response.json().await.expect("JSON"))
}

fn because() -> Value {
    json!({"reason": "let go in the bank's back office, ticket 4711"})
}

/// As somebody does who has the provider's back office and not ours.
async fn let_go_at_the_bank(world: &World, saga: Uuid) {
    let key = StepKey { saga_id: saga, step: "authorize_payment".to_owned(), direction: Direction::Do };
    let request = world.http.post(format!("{}/provider/v1/voids", world.provider_url));
    let request = request.bearer_auth(super::world::PROVIDER_KEY).header("idempotency-key", Uuid::now_v7().to_string());
    let response = request.json(&json!({"authorization": id_of_step(&key)})).send().await.expect("answers");
    assert!(response.status().is_success(), "{}", response.status());
}

#[tokio::test]
async fn what_was_let_go_at_the_bank_is_told_to_payment() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    let_go_at_the_bank(&world, saga).await;
    assert_eq!(world.state(saga).await, "requires_capture", "nobody has told payment");

    let (status, started) = void(&world, saga, &because()).await;
    assert_eq!((status, &started["state"]), (StatusCode::ACCEPTED, &json!("started")));
    let (_, again) = void(&world, saga, &because()).await;
    assert_eq!(again["operation_id"], started["operation_id"], "one that is under way is enough");
    assert!(world.inquire().await.is_empty(), "no step waits for it");
    assert_eq!(world.state(saga).await, "canceled");
    assert_eq!(world.charge(saga).await, Some([10_000, 0, 0, 10_000]));
    assert_eq!(world.transfers(saga).await, ["pending authorization 10000", "void authorization 10000"]);

    let shown = format!("{}/v1/admin/payment_intents/{}", world.payment_url, PaymentIntentId::from_uuid(saga));
    let shown = world.http.get(shown).bearer_auth(&world.admin_key).send().await.expect("answers");
    let shown: Value = shown.json().await.expect("JSON");
    let operation = &shown["operations"][1];
    assert_eq!((&operation["kind"], &operation["state"]), (&json!("void"), &json!("succeeded")));
    assert_eq!(operation["reason"], because()["reason"]);
    assert!(operation["actor"].as_str().is_some_and(|actor| actor.ends_with("(test)")), "{operation}");
    world.end().await;
}

#[tokio::test]
async fn what_is_still_held_is_let_go_once_its_authorization_is_decided() {
    let world = World::new().await;
    let (held, lost) = (Uuid::now_v7(), Uuid::now_v7());
    world.authorize(held, "pm_card_visa").await;
    world.set_faults(dropping()).await;
    assert!(is_retry(&world.authorize(lost, "pm_card_visa").await));
    let (status, problem) = void(&world, lost, &because()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with("/authorization-undecided")), "{problem}");
    assert_eq!(void(&world, held, &because()).await.0, StatusCode::ACCEPTED);
    // The void's own answer is lost too, once; the saga's own void beside it hears that there is nothing to let go any more.
    world.inquire().await;
    world.set_faults(healthy()).await;
    let_go_at_the_bank(&world, lost).await;
    assert_eq!(world.void(held, "pm_card_visa").await, Outcome::done());
    world.inquire().await;
    assert_eq!(void(&world, lost, &because()).await.0, StatusCode::ACCEPTED);
    world.inquire().await;
    for saga in [held, lost] {
        assert_eq!(world.state(saga).await, "canceled");
        assert_eq!(world.charge(saga).await, Some([10_000, 0, 0, 10_000]));
    }
    world.end().await;
}

#[tokio::test]
async fn what_holds_nothing_or_is_captured_is_not_voided() {
    let world = World::new().await;
    let (captured, capturing, declined) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    for saga in [captured, capturing] {
        world.authorize(saga, "pm_card_visa").await;
    }
    world.authorize(declined, "pm_card_visa_chargeDeclined").await;
    world.capture(captured).await;
    world.set_faults(dropping()).await;
    assert!(is_retry(&world.capture(capturing).await));
    let refused = async |saga, body: &Value, status, kind: &str| {
        let (told, problem) = void(&world, saga, body).await;
        assert_eq!(
            (told, problem["type"].as_str().is_some_and(|told| told.ends_with(kind))),
            (status, true),
            "{problem}"
        );
    };
    refused(captured, &because(), StatusCode::CONFLICT, "/payment-captured").await;
    refused(capturing, &because(), StatusCode::CONFLICT, "/payment-captured").await;
    refused(declined, &because(), StatusCode::CONFLICT, "/nothing-held").await;
    refused(Uuid::now_v7(), &because(), StatusCode::NOT_FOUND, "/not-found").await;
    refused(captured, &json!({"reason": " "}), StatusCode::UNPROCESSABLE_ENTITY, "/invalid-request").await;
    world.set_faults(healthy()).await;
    world.inquire().await;
    world.end().await;
}
