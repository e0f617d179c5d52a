//! A completed order is called off: the money and the goods go back while nothing has left, and not a minute longer.

use std::time::Duration;

use makegood_tests::{Answer, As, Placed, Stock, System, until};
use serde_json::json;
use sqlx::query;

const DECIDED_WITHIN: Duration = Duration::from_secs(60);
/// The carrier comes after this test.
const HANDOVER_DELAY: (&str, &str) = ("MAKEGOOD_HANDOVER_DELAY", "3600");
/// Pence.
const GIVEN_BACK: &str = "select coalesce(sum(refunded_minor), 0)::bigint from charge";

#[tokio::test]
async fn an_order_that_has_not_left_is_refunded_and_restocked_also_through_a_crash() {
    let mut system = System::start_with(&[HANDOVER_DELAY]).await;
    system.api.sell("TEA", "12.50", 10).await.expect("on sale");
    let [kept, called_off] = [completed(&system).await, completed(&system).await];
    assert_eq!(system.stock("TEA").await, Stock { on_hand: 6, bound: 0 });

    // Whoever has the goods back and dies before the money is back finds its way when it is up again.
    system.kill9("payment").await;
    let path = format!("/v1/orders/{}/cancel", called_off.order);
    let taken = system.api.insist(&path, As::Shop, "once", &json!({"reason": "ordered twice"})).await;
    assert_eq!(taken.status.as_u16(), 202, "{taken:?}");
    until("the goods are back", DECIDED_WITHIN, async || (system.stock("TEA").await.on_hand == 8).then_some(())).await;
    system.restart("payment").await;
    assert_eq!(decided(&system, &called_off).await.text_at("/cancellation/status"), "completed");
    let order = read(&system, &called_off).await;
    assert_eq!(order.text_at("/status"), "cancelled");
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 2500, "once, in the provider's books");

    // Asked again with the same token: the same answer. With another one: it is cancelled already.
    let again = system.api.insist(&path, As::Shop, "once", &json!({"reason": "ordered twice"})).await;
    assert_eq!(again.text, taken.text);
    let twice = system.api.insist(&path, As::Shop, "twice", &json!({})).await;
    assert_eq!(twice.status.as_u16(), 409, "{twice:?}");

    // The carrier is told of the other one: it can be returned, not cancelled.
    query("update shipment set offered_at = now() where state = 'released'")
        .execute(&mut system.database("fulfillment").await)
        .await
        .expect("offers");
    let path = format!("/v1/orders/{}/cancel", kept.order);
    let taken = system.api.insist(&path, As::Shop, "late", &json!({})).await;
    assert_eq!(taken.status.as_u16(), 202, "{taken:?}");
    let order = decided(&system, &kept).await;
    assert_eq!(order.text_at("/cancellation/failure_code"), "shipment_handed_over");
    assert_eq!(order.text_at("/status"), "completed");
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 2500, "nothing more");
    assert_eq!(system.stock("TEA").await, Stock { on_hand: 8, bound: 0 });
    system.finish().await;
}

/// Somebody has given a part back before, or all of it: the buyer has all of it in the end, and no more.
#[tokio::test]
async fn a_cancellation_gives_back_what_is_left() {
    let system = System::start_with(&[HANDOVER_DELAY]).await;
    system.api.sell("TEA", "12.50", 10).await.expect("on sale");
    for given_back in ["5.00", "25.00"] {
        let placed = completed(&system).await;
        let payment = placed.checkout.replace("chk_", "pi_");
        let part = json!({"amount": {"amount": given_back, "currency": "GBP"}, "reason": "a broken cup"});
        let refunds = format!("/v1/admin/payment_intents/{payment}/refunds");
        let refunded = system.api.post(&refunds, As::Shop, &part).await.expect("answers");
        assert_eq!(refunded.status.as_u16(), 202, "{refunded:?}");
        let taken = system.api.post(&format!("/v1/orders/{}/cancel", placed.order), As::Shop, &json!({})).await;
        assert_eq!(taken.expect("answers").status.as_u16(), 202);
        assert_eq!(decided(&system, &placed).await.text_at("/cancellation/status"), "completed");
    }
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 5000, "each order once, to the penny");
    system.finish().await;
}

async fn completed(system: &System) -> Placed {
    let placed = system.api.place_order(&[("TEA", 2)]).await.expect("placed");
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "completed");
    placed
}

async fn read(system: &System, placed: &Placed) -> Answer {
    system.api.get(&format!("/v1/orders/{}", placed.order), As::Shop).await.expect("answers")
}

/// The order once its cancellation is decided.
async fn decided(system: &System, placed: &Placed) -> Answer {
    until("the cancellation is decided", DECIDED_WITHIN, async || {
        let order = read(system, placed).await;
        let status = order.text_at("/cancellation/status");
        matches!(status, "completed" | "refused").then_some(order)
    })
    .await
}
