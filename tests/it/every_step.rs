//! P3, P6 and P7, step by step: whichever step is refused, all before it is made good, and whatever is said again changes
//! nothing. The steps come from the definition, so a new one is tested without a line here.

use std::time::Duration;

use makegood_contracts::{id::CheckoutId, reply::Outcome};
use makegood_saga::definition::{Definition, Step, StepKind};
use makegood_tests::{Api, As, STREAMS, Said, Stock, System, until};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

const DEFINITION: &str = include_str!("../../saga-definitions/checkout.v2.yaml");
const DECIDED_WITHIN: Duration = Duration::from_secs(30);
const UNITS: i64 = 10;

#[tokio::test]
async fn every_step_can_be_refused_and_everything_can_be_said_again() {
    // The carrier is quick, so that what happens after an order's end happens before anything is compared.
    let system = System::start_with(&[("MAKEGOOD_SANDBOX_SHIP_AFTER", "0.1")]).await;
    system.api.sell("JUG", "8.00", UNITS).await.expect("on sale");
    let cart = system.api.cart(&[("JUG", 2)]).await.expect("a cart");
    for step in steps_with_a_way_back() {
        refuse(&system, &cart, &step).await;
    }

    // The very cart that was given back so often becomes an order.
    let placed = system.api.check_out(&Api::checkout_of(&cart, "pm_card_visa")).await.expect("accepted");
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "completed");
    assert_eq!(system.stock("JUG").await, Stock { on_hand: UNITS - 2, bound: 0 });

    say_everything_again(&system).await;
    system.finish().await;
}

struct StepWithAWayBack {
    name: String,
    /// Who does it.
    service: String,
    /// It is done for a buyer who confirms later, and may be left out for one who confirms at once.
    is_for_later: bool,
}

/// The commands up to and including the pivot.
fn steps_with_a_way_back() -> Vec<StepWithAWayBack> {
    let definition = Definition::parse(DEFINITION).expect("the definition is sound");
    let pivot = definition.pivot.expect("a checkout has a pivot");
    let way_back = |step: &Step| match &step.kind {
        StepKind::Command(command) => Some(StepWithAWayBack {
            name: step.name.clone(),
            service: command.command.split('.').next().expect("service.verb_noun").to_owned(),
            is_for_later: step.may_be_skipped(),
        }),
        StepKind::Await(_) => None,
    };
    definition.steps.iter().take(pivot + 1).filter_map(way_back).collect()
}

/// Checks the cart out, has one step refused, and looks whether nothing is left of it.
async fn refuse(system: &System, cart: &str, step: &StepWithAWayBack) {
    let StepWithAWayBack { name: step, service, is_for_later } = step;
    // The first participant stands still until the refusal lies where the step's own will look for it.
    system.pause("cart");
    let request = if *is_for_later { Api::open_checkout_of(cart) } else { Api::checkout_of(cart, "pm_card_visa") };
    let (answer, saga) = tokio::join!(system.api.post("/v1/checkouts", As::Buyer, &request), async {
        let saga = running_saga(system).await;
        inject_refusal(system, service, saga, step).await;
        system.resume("cart");
        saga
    });
    answer.expect("answered");

    let path = format!("/v1/checkouts/{}", CheckoutId::from_uuid(saga));
    if *is_for_later {
        let confirmation = json!({ "payment_method": "pm_card_visa" });
        system.api.post(&format!("{path}/confirm"), As::Buyer, &confirmation).await.expect("confirmed");
    }
    let checkout = until(&format!("{step} is refused"), DECIDED_WITHIN, async || {
        let checkout = system.api.get(&path, As::Buyer).await.expect("answers");
        (checkout.text_at("/status") == "failed").then_some(checkout)
    })
    .await;
    assert_eq!(checkout.text_at("/failure/code"), "injected", "{step}");
    assert_saga_was_undone(system, saga, step).await;
    assert_nothing_is_left(system, cart, saga, checkout.text_at("/order_id"), step).await;
}

async fn running_saga(system: &System) -> Uuid {
    let mut database = system.database("orchestrator").await;
    until("the saga begins", DECIDED_WITHIN, async || {
        sqlx::query_scalar("select id from saga").fetch_optional(&mut database).await.expect("reads")
    })
    .await
}

/// The participant finds its step decided: refused, as any business reason would have it.
async fn inject_refusal(system: &System, service: &str, saga: Uuid, step: &str) {
    sqlx::query("insert into barrier (saga_id, step, direction, outcome) values ($1, $2, 'do', $3)")
        .bind(saga)
        .bind(step)
        .bind(Json(Outcome::refused("injected", "the test says no")))
        .execute(&mut system.database(service).await)
        .await
        .expect("the refusal is written");
}

async fn assert_saga_was_undone(system: &System, saga: Uuid, step: &str) {
    let mut database = system.database("orchestrator").await;
    // The checkout is decided by the saga's last command, so the saga ends a moment later.
    let reason: Json<Value> = until(&format!("the saga ends after {step}"), DECIDED_WITHIN, async || {
        sqlx::query_scalar("select reason from finished_saga where id = $1 and state = 'compensated'")
            .bind(saga)
            .fetch_optional(&mut database)
            .await
            .expect("reads")
    })
    .await;
    assert_eq!((&reason.0["step"], &reason.0["code"]), (&json!(step), &json!("injected")));
}

async fn assert_nothing_is_left(system: &System, cart: &str, saga: Uuid, order: &str, step: &str) {
    assert_eq!(system.stock("JUG").await, Stock { on_hand: UNITS, bound: 0 }, "after {step}");
    let charges = system.api.charges(order).await.expect("the provider's books");
    assert!(charges.iter().all(|state| state == "voided"), "after {step}: {charges:?}");
    let live_shipments: i64 =
        sqlx::query_scalar("select count(*) from shipment where saga_id = $1 and state <> 'cancelled'")
            .bind(saga)
            .fetch_one(&mut system.database("fulfillment").await)
            .await
            .expect("counts");
    assert_eq!(live_shipments, 0, "after {step}");
    let line = format!("/v1/carts/{cart}/lines/JUG");
    let edited = system.api.put(&line, As::Buyer, &json!({"quantity": 2})).await.expect("answers");
    assert!(edited.status.is_success(), "after {step}: {edited:?}");
}

/// All commands, replies and events once more, as a stream that is told again from its beginning would have it.
async fn say_everything_again(system: &System) {
    until("the order has left", DECIDED_WITHIN, async || {
        let shipped = "select count(*) from orders where fulfillment_status = 'shipped'";
        (system.count("order", shipped).await == 1).then_some(())
    })
    .await;
    let jetstream = system.jetstream().await;
    jetstream.wait_until_consumed().await;
    let before = system.digests().await;
    for stream in STREAMS {
        for Said { subject, body } in jetstream.messages(stream).await {
            jetstream.publish(&subject, without_deadlines(&body)).await;
        }
    }
    jetstream.wait_until_consumed().await;
    for (table, digest) in system.digests().await {
        assert_eq!(Some(&digest), before.get(&table), "{table} has changed");
    }
}

/// An expired command would not be started, and what is to be seen here is that it is answered from the barrier.
fn without_deadlines(body: &[u8]) -> Vec<u8> {
    let mut items: Vec<Value> = serde_json::from_slice(body).expect("a message is an array");
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.remove("deadline");
    }
    serde_json::to_vec(&items).expect("encodes")
}
