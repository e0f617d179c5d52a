//! P8: what has happened is told to every service of ours, also to one that was away while more happened than the stream holds.

use std::time::Duration;

use makegood_contracts::subject;
use makegood_tests::{As, System, until};
use serde_json::json;

/// Some 250 bytes of event each: twice what the stream holds.
const IMPORTS: usize = 8;
const PRODUCTS_AN_IMPORT: usize = 1_000;
const STREAM_BYTES: i64 = 1 << 20;
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_service_that_was_away_hears_of_everything_although_the_stream_is_too_small_for_it() {
    let mut system = System::start().await;
    let jetstream = system.jetstream().await;
    jetstream.wait_until_consumed().await;
    system.stop("cart").await;
    jetstream.refuse_beyond(subject::EVENT_STREAM, STREAM_BYTES).await;
    // An empty stream has none.
    let first = jetstream.first_sequence(subject::EVENT_STREAM).await.max(1);
    for import in 0..IMPORTS {
        let product = |number| {
            let sku = format!("SKU-{import}-{number}");
            json!({"sku": sku, "title": format!("A product with a name of its own, {sku}"), "prices": [{"amount": "2.00", "currency": "GBP"}]})
        };
        let products: Vec<_> = (0..PRODUCTS_AN_IMPORT).map(product).collect();
        let answer = system.api.post("/v1/products:import", As::Shop, &json!({ "products": products })).await;
        assert!(answer.expect("answers").status.is_success());
    }
    until("events are held back", WITHIN, async || is_held_back(&system, 1).await.then_some(())).await;
    assert_eq!(jetstream.first_sequence(subject::EVENT_STREAM).await, first, "nothing that is unread is let go");

    system.restart("cart").await;
    let mut database = system.database("cart").await;
    let all = i64::try_from(IMPORTS * PRODUCTS_AN_IMPORT).expect("a count");
    until("carts know every price", WITHIN, async || {
        let count = "select count(*) from price where sku like 'SKU-%'";
        let known: i64 = sqlx::query_scalar(count).fetch_one(&mut database).await.expect("counts");
        (known == all).then_some(())
    })
    .await;
    until("nothing is held back", WITHIN, async || is_held_back(&system, 0).await.then_some(())).await;
    assert!(jetstream.first_sequence(subject::EVENT_STREAM).await > first, "the stream was too small for all");
    system.finish().await;
}

async fn is_held_back(system: &System, is: u8) -> bool {
    let told = system.metrics("catalog").await;
    told.contains(&format!("makegood_event_held_back{{service=\"catalog\"}} {is}"))
}
