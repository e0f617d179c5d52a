//! P1: one checkout token, at most one order and one charge, and the same answer for everyone.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use makegood_tests::{Answer, Api, As, Placed, System, until};
use serde_json::Value;

const CALLERS: usize = 1_000;
const DECIDED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_thousand_equal_checkouts_at_once_are_one_order_one_charge_and_one_answer() {
    let mut system = System::start().await;
    system.api.sell("LAMP", "40.00", 5_000).await.expect("on sale");

    let request = cart_with_a_lamp(&system).await;
    let answers = call_a_thousand_times(&system.api, "one-token", &request).await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    let placed = the_one_answer(&answers);
    assert_one_order_and_one_charge(&system, &placed, 1).await;

    // Whoever gets no answer asks again; whoever was answered before the crash got what all others get after it.
    let request = cart_with_a_lamp(&system).await;
    let api = system.api.clone();
    let (answers, ()) = tokio::join!(call_a_thousand_times(&api, "another-token", &request), async {
        until("the second checkout is accepted", DECIDED_WITHIN, async || {
            (system.count("order", "select count(*) from checkout").await == 2).then_some(())
        })
        .await;
        system.kill9("order").await;
        system.restart("order").await;
    });
    let placed = the_one_answer(&answers);
    assert_one_order_and_one_charge(&system, &placed, 2).await;
    system.finish().await;
}

async fn cart_with_a_lamp(system: &System) -> Value {
    let cart = system.api.cart(&[("LAMP", 1)]).await.expect("a cart");
    Api::checkout_of(&cart, "pm_card_visa")
}

async fn call_a_thousand_times(api: &Api, token: &str, request: &Value) -> Vec<Answer> {
    stream::iter(0..CALLERS)
        .map(|_| api.insist("/v1/checkouts", As::Buyer, token, request))
        .buffer_unordered(CALLERS)
        .collect()
        .await
}

fn the_one_answer(answers: &[Answer]) -> Placed {
    let different: BTreeSet<_> = answers.iter().map(|answer| (answer.status, answer.text.as_str())).collect();
    assert_eq!(different.len(), 1, "{different:?}");
    let answer = &answers[0];
    assert!(answer.status.is_success(), "{answer:?}");
    Placed { checkout: answer.text_at("/id").to_owned(), order: answer.text_at("/order_id").to_owned() }
}

async fn assert_one_order_and_one_charge(system: &System, placed: &Placed, orders_so_far: i64) {
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "completed");
    assert_eq!(system.api.charges(&placed.order).await.expect("the provider's books"), ["captured"]);
    let captures = "select count(*) from payment_operation where kind = 'capture' and state = 'succeeded'";
    assert_eq!(system.count("order", "select count(*) from orders").await, orders_so_far);
    assert_eq!(system.count("payment", captures).await, orders_so_far);
}
