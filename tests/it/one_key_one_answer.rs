//! P1: one checkout token, at most one order and one charge, and the same answer for everyone.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use makegood_tests::{Api, As, System};

const CALLERS: usize = 1_000;
const DECIDED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_thousand_equal_checkouts_at_once_are_one_order_one_charge_and_one_answer() {
    let system = System::start().await;
    system.api.sell("LAMP", "40.00", 5_000).await.expect("on sale");
    let cart = system.api.cart(&[("LAMP", 1)]).await.expect("a cart");
    let request = Api::checkout_of(&cart, "pm_card_visa");

    let answers: Vec<_> = stream::iter(0..CALLERS)
        .map(|_| system.api.post_once("/v1/checkouts", As::Buyer, "one-token", &request))
        .buffer_unordered(CALLERS)
        .collect()
        .await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("everyone is answered")).collect();

    let bodies: BTreeSet<_> = answers.iter().map(|answer| (answer.status, answer.text.as_str())).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(answers[0].status.is_success(), "{:?}", answers[0]);
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(system.api.wait_until_ended(answers[0].text_at("/id"), DECIDED_WITHIN).await, "completed");

    let orders: i64 = sqlx::query_scalar("select count(*) from orders")
        .fetch_one(&mut system.database("order").await)
        .await
        .expect("counts");
    let charges: i64 =
        sqlx::query_scalar("select count(*) from payment_operation where kind = 'capture' and state = 'succeeded'")
            .fetch_one(&mut system.database("payment").await)
            .await
            .expect("counts");
    assert_eq!((orders, charges), (1, 1));
    system.finish().await;
}
