//! Whatever is asked in whatever order, and whatever is lost on the way: the books balance, and the provider's agree.

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;
use uuid::Uuid;

use super::world::{World, healthy};

/// Payments that one history is about.
const SAGAS: usize = 3;
/// Histories tried: each is some twenty requests to a real provider and a real database.
const HISTORIES: u32 = 16;

const CARDS: [&str; 6] = [
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_sandbox_timeoutAfterEffect",
    "pm_card_sandbox_timeoutBeforeEffect",
    "pm_card_sandbox_captureDeclined",
];

#[derive(Debug, Clone)]
enum Step {
    Authorize { saga: usize },
    Capture { saga: usize },
    Void { saga: usize },
    Refund { saga: usize, refund: u128, minor: i64 },
    Challenge { saga: usize, passes: bool },
    Inquire,
    Faults { drop: u8, refuse: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let saga = 0..SAGAS;
    let step = prop_oneof![
        4 => saga.clone().prop_map(|saga| Step::Authorize { saga }),
        4 => saga.clone().prop_map(|saga| Step::Capture { saga }),
        1 => saga.clone().prop_map(|saga| Step::Void { saga }),
        3 => (saga.clone(), 0..4_u128, 1..9_000_i64).prop_map(|(saga, refund, minor)| Step::Refund { saga, refund, minor }),
        2 => (saga, any::<bool>()).prop_map(|(saga, passes)| Step::Challenge { saga, passes }),
        1 => Just(Step::Inquire),
        2 => (prop_oneof![Just(0), Just(50), Just(100)], prop_oneof![Just(0), Just(50)]).prop_map(|(drop, refuse)| Step::Faults { drop, refuse }),
    ];
    prop::collection::vec(step, 8..24)
}

#[test]
fn every_history_balances_and_equals_the_providers_books() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let world = runtime.block_on(World::new());
    let mut runner =
        TestRunner::new(ProptestConfig { cases: HISTORIES, failure_persistence: None, ..ProptestConfig::default() });
    let histories = (prop::array::uniform3(0..CARDS.len()), steps());
    let result = runner.run(&histories, |(cards, steps)| {
        runtime.block_on(check(&world, cards.map(|card| CARDS[card]), &steps));
        Ok(())
    });
    result.expect("every history");
    runtime.block_on(world.end());
}

async fn check(world: &World, cards: [&str; SAGAS], steps: &[Step]) {
    let sagas: [Uuid; SAGAS] = std::array::from_fn(|_| Uuid::now_v7());
    for step in steps {
        run(world, &sagas, cards, step).await;
        world.assert_promises_kept().await;
    }
    world.set_faults(healthy()).await;
    // A card that loses its first answer may be sent in the first round, and is known in the second.
    for _ in 0..2 {
        world.inquire().await;
    }
    world.assert_promises_kept().await;
    for saga in sagas {
        assert_equals_providers_books(world, saga).await;
    }
}

async fn run(world: &World, sagas: &[Uuid; SAGAS], cards: [&str; SAGAS], step: &Step) {
    match *step {
        Step::Authorize { saga } => drop(world.authorize(sagas[saga], cards[saga]).await),
        Step::Capture { saga } => drop(world.capture(sagas[saga]).await),
        Step::Void { saga } => drop(world.void(sagas[saga], cards[saga]).await),
        Step::Refund { saga, refund, minor } => {
            let refund_id = Uuid::from_u128(sagas[saga].as_u128().wrapping_add(refund + 1));
            drop(world.refund(sagas[saga], refund_id, minor).await);
        }
        Step::Challenge { saga, passes } => challenge(world, sagas[saga], passes).await,
        Step::Inquire => drop(world.inquire().await),
        Step::Faults { drop, refuse } => {
            world.set_faults(json!({ "drop_answers_percent": drop, "refuse_percent": refuse })).await
        }
    }
}

/// Does what a buyer does, if there is a challenge.
async fn challenge(world: &World, saga: Uuid, passes: bool) {
    let url: Option<String> = sqlx::query_scalar(
        "select redirect_url from payment_operation where intent_id = $1 and state = 'action_required'",
    )
    .bind(saga)
    .fetch_optional(&world.db)
    .await
    .expect("reads");
    let outcome = if passes { "authenticated" } else { "failed" };
    if let Some(url) = url {
        world.http.post(url).json(&json!({ "outcome": outcome })).send().await.expect("answers");
    }
}

async fn assert_equals_providers_books(world: &World, saga: Uuid) {
    let ours: Option<(String, i64, i64)> =
        sqlx::query_as("select state, captured_minor, refunded_minor from payment_intent where id = $1")
            .bind(saga)
            .fetch_optional(&world.db)
            .await
            .expect("reads");
    let charge = world.charge(saga).await;
    let Some((state, captured, refunded)) = ours else {
        assert_eq!(charge, None, "the provider knows of nothing that we do not");
        return;
    };
    let [authorized, at_provider, back, voided] = charge.unwrap_or_default();
    assert_eq!((captured, refunded), (at_provider, back), "{state}");
    let held = authorized - voided - at_provider;
    assert_eq!(held, if state == "requires_capture" { 10_000 } else { 0 }, "{state}");
}
