//! A start that came too early: set aside and never lost, and sent again by an operator when its definition is there.

use std::time::Duration;

use makegood_tests::{As, Ran, System, until};
use serde_json::{Value, json};
use uuid::Uuid;

const DECIDED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_start_without_its_definition_waits_for_an_operator_and_then_runs() {
    let mut system = System::start().await;
    let saga_id = Uuid::now_v7();
    system.start_phone_order(saga_id, &[]).await;
    let letter = until("the start is a dead letter", DECIDED_WITHIN, async || {
        let letters = system.dead_letters(&["ls", "--service", "orchestrator", "-o", "json"]).await.json_lines();
        Some(letters.first()?["id"].as_str()?.to_owned())
    })
    .await;
    let shown = system.dead_letters(&["show", "orchestrator", &letter, "-o", "json"]).await.json();
    assert!(shown["reason"].as_str().is_some_and(|reason| reason.contains("no definition `phone-order`")), "{shown}");

    release(&mut system).await;
    assert_eq!(redrive(&system, &letter, "the definition is released").await.exit_code, Some(0));
    let path = format!("/v1/admin/sagas/sga_{}", saga_id.simple());
    wait_until(&system, &path, "waiting").await;
    // Asked for again, it is not sent again: the letter is resolved.
    let again = redrive(&system, &letter, "to be sure").await;
    assert_eq!(again.exit_code, Some(1), "{again:?}");

    let id = format!("sga_{}", saga_id.simple());
    let signalled = ["signal", &id, "approval", "--reason", "approved by phone"];
    let ran = system.saga(&signalled).await;
    assert_eq!(ran.exit_code, Some(0), "{ran:?}");
    let ended = wait_until(&system, &path, "completed").await;
    assert_eq!(ended["context"]["input"], json!({"room": 12}));
    let open = system.dead_letters(&["ls", "--service", "orchestrator", "-o", "json"]).await;
    assert!(open.json_lines().is_empty(), "{open:?}");
    system.finish().await;
}

/// Starts the orchestrator with one definition more.
async fn release(system: &mut System) {
    let definitions = system.phone_order_definitions();
    system.stop("orchestrator").await;
    system.restart_with("orchestrator", &[("MAKEGOOD_DEFINITIONS", &definitions)]).await;
}

async fn redrive(system: &System, letter: &str, reason: &str) -> Ran {
    system.dead_letters(&["redrive", "orchestrator", letter, "--reason", reason]).await
}

async fn wait_until(system: &System, path: &str, state: &str) -> Value {
    until(&format!("{path} is {state}"), DECIDED_WITHIN, async || {
        let answer = system.api.get(path, As::Operator).await.ok()?;
        (answer.status.is_success() && answer.text_at("/state") == state).then_some(answer.body)
    })
    .await
}
