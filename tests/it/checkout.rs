//! The way of an order on which nothing goes wrong, and the one on which the card does not pay.

use std::time::Duration;

use makegood_tests::{Api, As, Stock, System};

const DECIDED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_order_completes_and_a_declined_one_is_made_good() {
    let system = System::start().await;
    system.api.sell("TEA", "12.50", 10).await.expect("on sale");

    let placed = system.api.place_order(&[("TEA", 2)]).await.expect("placed");
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "completed");
    let order = system.api.get(&format!("/v1/orders/{}", placed.order), As::Shop).await.expect("answers");
    assert_eq!(order.text_at("/total/amount"), "25.00");

    let cart = system.api.cart(&[("TEA", 3)]).await.expect("a cart");
    let declined = Api::checkout_of(&cart, "pm_card_chargeDeclined");
    let answer = system.api.post("/v1/checkouts", As::Buyer, &declined).await.expect("answers");
    assert!(answer.status.is_success(), "{answer:?}");
    assert_eq!(system.api.wait_until_ended(answer.text_at("/id"), DECIDED_WITHIN).await, "failed");

    // Authorized, and declined when it is captured: nothing of it is kept either.
    let cart = system.api.cart(&[("TEA", 3)]).await.expect("a cart");
    let uncaptured = Api::checkout_of(&cart, "pm_card_sandbox_captureDeclined");
    let placed = system.api.check_out(&uncaptured).await.expect("placed");
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "failed");
    assert_eq!(system.api.charges(&placed.order).await.expect("answers"), ["voided"]);

    // Two are sold, and the three of each declined order are back.
    assert_eq!(system.stock("TEA").await, Stock { on_hand: 8, bound: 0 });
    system.finish().await;
}
