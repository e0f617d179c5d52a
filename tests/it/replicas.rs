//! P6: two orchestrators that both believe that a saga is theirs move it once.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::future::try_join_all;
use makegood_contracts::{
    command::{Command, StepKey},
    subject,
};
use makegood_tests::{Api, Placed, Stock, System, until};
use uuid::Uuid;

const ORDERS: usize = 100;
const UNITS: i64 = 1_000;
const DECIDED_WITHIN: Duration = Duration::from_secs(120);
/// Longer than a step's timeout, so that the other replica has sent again what this one sent.
const PAUSED_FOR: Duration = Duration::from_secs(12);

#[tokio::test]
async fn a_replica_that_stands_still_past_every_timeout_comes_back_to_a_world_that_went_on() {
    let mut system = System::start().await;
    system.api.sell("PEN", "1.50", UNITS).await.expect("on sale");
    system.start_replica("orchestrator", "second orchestrator").await;

    // Both have sagas at hand.
    all_complete(&system, &place(&system.api).await.expect("accepted")).await;

    let (placed, ()) = tokio::join!(place(&system.api), async {
        until("sagas are on their way", DECIDED_WITHIN, async || {
            (system.count("orchestrator", "select count(*) from saga").await > 10).then_some(())
        })
        .await;
        system.pause("orchestrator");
        tokio::time::sleep(PAUSED_FOR).await;
        system.resume("orchestrator");
    });
    all_complete(&system, &placed.expect("accepted")).await;
    let sold = i64::try_from(2 * ORDERS).expect("a count");
    assert_eq!(system.stock("PEN").await, Stock { on_hand: UNITS - sold, bound: 0 });
    assert_one_key_per_command(&system).await;
    system.finish().await;
}

async fn place(api: &Api) -> anyhow::Result<Vec<Placed>> {
    try_join_all((0..ORDERS).map(|_| api.place_order(&[("PEN", 1)]))).await
}

async fn all_complete(system: &System, placed: &[Placed]) {
    for order in placed {
        assert_eq!(system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await, "completed", "{order:?}");
    }
}

/// However often and by whomever a saga's command was sent, it was one command.
async fn assert_one_key_per_command(system: &System) {
    let mut keys: HashMap<(Uuid, String), HashSet<StepKey>> = HashMap::new();
    let to_orchestrator = subject::commands_of("orchestrator").replace('>', "");
    for message in system.jetstream().await.messages(subject::COMMAND_STREAM).await {
        if message.subject.starts_with(&to_orchestrator) {
            continue;
        }
        let commands: Vec<Command> = serde_json::from_slice(&message.body).expect("an array of commands");
        for command in commands {
            keys.entry((command.key.saga_id, message.subject.clone())).or_default().insert(command.key);
        }
    }
    assert!(keys.len() > 2 * ORDERS, "the stream holds the commands");
    for (command, keys) in keys {
        assert_eq!(keys.len(), 1, "{command:?}");
    }
}
