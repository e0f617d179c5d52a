//! P9 and P4: answers that are lost, callbacks that come late and often, and buyers who must authenticate.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use makegood_tests::{Api, As, IMPATIENT, Placed, Stock, System, until};
use serde_json::{Value, json};

const ORDERS: i64 = 100;
const UNITS: i64 = 1_000;
/// As many as make the provider's faults meet one another.
const AT_ONCE: usize = 32;
const DECIDED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_provider_that_loses_answers_charges_each_order_once_and_a_buyer_may_have_to_authenticate() {
    let system = System::start_with(&IMPATIENT).await;
    system.api.sell("COAT", "80.00", UNITS).await.expect("on sale");
    let faults = json!({
        "drop_answers_percent": 20, "refuse_percent": 10,
        "callbacks_percent": 50, "duplicate_callbacks": 2, "late_callbacks_ms": 300,
    });
    misbehave(&system, &faults).await;
    let placed: Vec<Placed> = stream::iter(0..ORDERS)
        .map(|_| system.api.place_order(&[("COAT", 1)]))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
        .expect("all are accepted");
    let ended = system.wait_until_all_ended(DECIDED_WITHIN).await;
    assert_eq!(ended.get("completed"), Some(&ORDERS), "{ended:?}");
    for order in &placed {
        assert_eq!(system.api.charges(&order.order).await.expect("the provider's books"), ["captured"]);
    }
    misbehave(&system, &json!({})).await;

    let placed = authenticate(&system, "authenticated").await;
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "completed");
    assert_eq!(system.api.charges(&placed.order).await.expect("the provider's books"), ["captured"]);

    let placed = authenticate(&system, "failed").await;
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "failed");
    assert_eq!(system.api.charges(&placed.order).await.expect("the provider's books"), ["declined"]);
    assert_eq!(system.stock("COAT").await, Stock { on_hand: UNITS - ORDERS - 1, bound: 0 });
    // Whoever is told that a payment is pending answers, and nobody needs to look at that.
    assert_eq!(system.count("orchestrator", "select count(*) from dead_letter").await, 0);
    system.finish().await;
}

/// The void of an authorization that never reached the provider gives back nothing, and both books say so.
#[tokio::test]
async fn what_the_provider_never_took_is_voided_all_the_same() {
    let system = System::start().await;
    system.api.sell("COAT", "80.00", UNITS).await.expect("on sale");
    misbehave(&system, &json!({"refuse_percent": 100})).await;
    let order = system.api.place_order(&[("COAT", 1)]).await.expect("accepted");
    until("payment is asked", DECIDED_WITHIN, async || {
        let asked = "select count(*) from payment_operation where kind = 'authorize'";
        (system.count("payment", asked).await == 1).then_some(())
    })
    .await;
    let turned = system.saga(&["compensate", &order.order, "--reason", "the provider is away", "--force"]).await;
    assert_eq!(turned.exit_code, Some(0), "{turned:?}");
    until("the void is asked for", DECIDED_WITHIN, async || {
        let asked = "select count(*) from payment_operation where kind = 'void'";
        (system.count("payment", asked).await == 1).then_some(())
    })
    .await;
    misbehave(&system, &json!({})).await;
    assert_eq!(system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await, "failed");
    assert_eq!(system.stock("COAT").await, Stock { on_hand: UNITS, bound: 0 });
    system.finish().await;
}

async fn misbehave(system: &System, faults: &Value) {
    let answer = system.api.put("/sandbox/faults", As::Operator, faults).await.expect("answers");
    assert!(answer.status.is_success(), "{answer:?}");
}

/// An order whose buyer is sent to the bank, and comes back with this outcome.
async fn authenticate(system: &System, outcome: &str) -> Placed {
    let cart = system.api.cart(&[("COAT", 1)]).await.expect("a cart");
    let request = Api::checkout_of(&cart, "pm_card_authenticationRequired");
    let placed = system.api.check_out(&request).await.expect("accepted");
    let path = format!("/v1/checkouts/{}", placed.checkout);
    let bank = until("the buyer must authenticate", DECIDED_WITHIN, async || {
        let checkout = system.api.get(&path, As::Buyer).await.expect("answers");
        (checkout.text_at("/status") == "requires_action")
            .then(|| checkout.text_at("/next_action/redirect_url").to_owned())
    })
    .await;
    let challenge = &bank[bank.find("/provider/").expect("the address of a challenge")..];
    let answer = system.api.post(challenge, As::Buyer, &json!({"outcome": outcome})).await.expect("answers");
    assert!(answer.status.is_success(), "{answer:?}");
    placed
}
