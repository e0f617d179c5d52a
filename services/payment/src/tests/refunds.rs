//! Money on its way back, and what operators see of all of it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{World, done_with, dropping, healthy, is_retry, refused_with};
use makegood_contracts::id::PaymentIntentId;

#[tokio::test]
async fn money_goes_back_at_most_once_for_each_refund_and_never_more_than_came() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    assert_eq!(refused_with(&world.refund(saga, Uuid::now_v7(), 1).await), "payment_not_captured");
    world.capture(saga).await;

    let refund_id = Uuid::now_v7();
    let refunded = world.refund(saga, refund_id, 6_000).await;
    assert_eq!(done_with(&refunded)["refunded"]["amount"], "60.00");
    assert_eq!(world.refund(saga, refund_id, 6_000).await, refunded);
    assert_eq!(refused_with(&world.refund(saga, Uuid::now_v7(), 0).await), "refund_exceeds_captured");
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 6_000, 0]));
    assert_eq!(world.transfers(saga).await[3..], ["pending refund 6000", "post refund 6000"]);

    // A part has gone back before: what is left goes back, and then nothing more, which stands for whoever asks still.
    let rest_id = Uuid::now_v7();
    let rest = world.refund(saga, rest_id, 10_000).await;
    assert_eq!(done_with(&rest), &json!({"refund_id": rest_id, "refunded": {"amount": "40.00", "currency": "GBP"}}));
    let nothing = world.refund(saga, Uuid::now_v7(), 10_000).await;
    assert_eq!(done_with(&nothing), &json!({"refund_id": rest_id, "refunded": {"amount": "0.00", "currency": "GBP"}}));
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 10_000, 0]));
    world.end().await;
}

/// How much is left depends on a refund that the provider has not decided: the one that needs to know waits for it, and is not refused.
#[tokio::test]
async fn a_refund_waits_for_one_that_may_be_declined() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    world.capture(saga).await;
    world.set_faults(dropping()).await;
    assert!(is_retry(&world.refund(saga, Uuid::now_v7(), 6_000).await));
    world.set_faults(healthy()).await;
    let whole_id = Uuid::now_v7();
    for _ in 0..2 {
        assert!(is_retry(&world.refund(saga, whole_id, 10_000).await));
    }
    assert_eq!(world.inquire().await.len(), 1);
    assert_eq!(done_with(&world.refund(saga, whole_id, 10_000).await)["refunded"]["amount"], "40.00");
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 10_000, 0]));
    world.end().await;
}

#[tokio::test]
async fn a_refund_of_unknown_outcome_counts_against_what_is_left() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    world.capture(saga).await;
    world.set_faults(dropping()).await;
    let refund_id = Uuid::now_v7();
    assert!(is_retry(&world.refund(saga, refund_id, 6_000).await));
    world.set_faults(healthy()).await;
    assert!(is_retry(&world.refund(saga, Uuid::now_v7(), 6_000).await), "4,000 are left, or 10,000");
    assert_eq!(world.inquire().await.len(), 1);
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 6_000, 0]));
    world.end().await;
}

#[tokio::test]
async fn refunds_at_once_share_what_is_left() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    world.capture(saga).await;
    let ids: Vec<Uuid> = (0..6).map(|_| Uuid::now_v7()).collect();
    // Those that wait for another one's decision ask once more, as their sagas do.
    for _ in 0..2 {
        futures::future::join_all(ids.iter().map(|id| world.refund(saga, *id, 4_000))).await;
    }
    let outcomes = futures::future::join_all(ids.iter().map(|id| world.refund(saga, *id, 4_000))).await;
    let mut refunded: Vec<&str> =
        outcomes.iter().filter_map(|outcome| done_with(outcome)["refunded"]["amount"].as_str()).collect();
    refunded.sort_unstable();
    assert_eq!(refunded, ["0.00", "0.00", "0.00", "20.00", "40.00", "40.00"]);
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 10_000, 0]));
    world.end().await;
}

/// As the returns of an order ask for them: each under its own id, until nothing is left.
#[tokio::test]
async fn a_payment_goes_back_in_parts_to_the_last_penny_and_not_one_more() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    world.capture(saga).await;
    let parts = [(Uuid::now_v7(), 3_334), (Uuid::now_v7(), 3_333), (Uuid::now_v7(), 3_333)];
    for (refund_id, minor) in parts {
        // The answer of each is lost once: it is asked for by its own id, and none is taken for another.
        world.set_faults(dropping()).await;
        assert!(is_retry(&world.refund(saga, refund_id, minor).await));
        world.set_faults(healthy()).await;
        let refunded = world.refund(saga, refund_id, minor).await;
        assert_eq!(done_with(&refunded)["refund_id"], json!(refund_id));
        assert_eq!(world.refund(saga, refund_id, minor).await, refunded);
    }
    assert_eq!(done_with(&world.refund(saga, Uuid::now_v7(), 1).await)["refunded"]["amount"], "0.00");
    assert_eq!(world.charge(saga).await, Some([10_000, 10_000, 10_000, 0]));
    let at_provider: i64 = sqlx::query_scalar("select count(*) from provider_operation where kind = 'refund'")
        .fetch_one(&world.provider_db)
        .await
        .expect("counts");
    assert_eq!(at_provider, 3);
    world.end().await;
}

#[tokio::test]
async fn operators_see_a_payment_with_its_evidence_and_the_sums_of_an_import() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_visa").await;
    world.capture(saga).await;
    world.refund(saga, Uuid::now_v7(), 2_500).await;
    let get = async |url: String| -> Value {
        let response = world.http.get(url).bearer_auth(&world.admin_key).send().await.expect("answers");
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.expect("JSON")
    };
    let payment = &world.payment_url;
    let id = PaymentIntentId::from_uuid(saga);
    let evidence = get(format!("{payment}/v1/admin/payment_intents/{id}")).await;
    assert_eq!((&evidence["state"], &evidence["refunded"]["amount"]), (&json!("succeeded"), &json!("25.00")));
    assert_eq!(
        (evidence["operations"].as_array().map(Vec::len), evidence["transfers"].as_array().map(Vec::len)),
        (Some(3), Some(5))
    );

    let order = format!("ord_{}", saga.simple());
    assert_eq!(
        get(format!("{payment}/v1/admin/payment_intents?order_id={order}")).await["payment_intents"][0]["id"],
        id.to_string()
    );
    assert_eq!(
        get(format!("{payment}/v1/admin/ledger/transfers?order_id={order}")).await["transfers"][2]["credit"],
        "sales"
    );
    let summary = get(format!("{payment}/v1/admin/ledger/summary?reference_prefix=test-")).await;
    assert_eq!(
        summary,
        json!({ "orders": 1, "captured": [{ "amount": "100.00", "currency": "GBP" }], "refunded": [{ "amount": "25.00", "currency": "GBP" }] })
    );
    let balances = get(format!("{payment}/v1/admin/ledger/balances?currency=GBP")).await;
    let balance = |code: &str| {
        balances["balances"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["account"] == code))
            .map(|one| one["balance"]["amount"].clone())
    };
    assert_eq!(balance("psp_receivable"), Some(json!("75.00")));
    assert_eq!(balance("order_clearing"), Some(json!("0.00")));

    let books = get(format!("{}/sandbox/books/summary?reference_prefix=test-", world.provider_url)).await;
    assert_eq!((&books["orders"], &books["captured"]), (&summary["orders"], &summary["captured"]));
    assert_eq!(books["refunded"], summary["refunded"]);
    let charges = get(format!("{}/sandbox/books/charges?order_id={order}", world.provider_url)).await;
    assert_eq!(charges["charges"][0]["state"], "captured");
    world.end().await;
}
