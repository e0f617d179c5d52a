//! P2: never oversold, however many want it at once.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use makegood_tests::{Api, As, Stock, System};

const BUYERS: usize = 500;
const UNITS: i64 = 100;
/// As many requests as a busy shop has under way.
const AT_ONCE: usize = 100;
const DECIDED_WITHIN: Duration = Duration::from_secs(90);

#[tokio::test]
async fn five_hundred_carts_after_a_hundred_units_are_a_hundred_orders() {
    let system = System::start().await;
    let api = &system.api;
    api.sell("TICKET", "99.00", UNITS).await.expect("on sale");

    let outcomes: Vec<String> = stream::iter(0..BUYERS)
        .map(async |_| {
            let cart = api.cart(&[("TICKET", 1)]).await?;
            let answer = api.post("/v1/checkouts", As::Buyer, &Api::checkout_of(&cart, "pm_card_visa")).await?;
            // One who comes too late may be told at once, or in the checkout's status.
            if !answer.status.is_success() {
                assert!(answer.status.is_client_error(), "{answer:?}");
                return anyhow::Ok("refused".to_owned());
            }
            Ok(api.wait_until_ended(answer.text_at("/id"), DECIDED_WITHIN).await)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
        .expect("everyone is answered");

    let mut counted = BTreeMap::new();
    outcomes.iter().for_each(|outcome| *counted.entry(outcome.as_str()).or_insert(0_i64) += 1);
    assert_eq!(counted.get("completed"), Some(&UNITS), "{counted:?}");
    assert_eq!(system.stock("TICKET").await, Stock { on_hand: 0, bound: 0 });
    system.finish().await;
}
