//! Step by step, as the definition has them: each that can be refused is refused, and everything is said once more.

use makegood_contracts::{id::ReturnId, reply::Outcome};
use makegood_saga::definition::{Definition, StepKind};
use makegood_tests::STREAMS;
use sqlx::types::Json;

use super::*;

const DEFINITION: &str = include_str!("../../../saga-definitions/return-order.v1.yaml");

/// The commands up to and including the pivot: past it there is no way back.
fn steps_with_a_way_back() -> Vec<String> {
    let definition = Definition::parse(DEFINITION).expect("the definition is sound");
    let pivot = definition.pivot.expect("a return has a pivot");
    let is_command = |kind: &StepKind| matches!(kind, StepKind::Command(_));
    let commands = definition.steps.iter().take(pivot + 1).filter(|step| is_command(&step.kind));
    commands.map(|step| step.name.clone()).collect()
}

#[tokio::test]
async fn every_step_can_be_refused_and_everything_can_be_said_again() {
    let system = system_with(&[]).await;
    let placed = shipped(&system).await;
    let steps = steps_with_a_way_back();
    assert_eq!(steps, ["begin_return", "accept_return"]);
    for step in &steps {
        refuse(&system, &placed, step).await;
    }

    let kept = announced(&system, &placed, "kept", &[("CUP", 1)]).await;
    call_off(&system, &kept, "off").await;
    ended(&system, &kept, "cancelled").await;
    let comes = announced(&system, &placed, "comes", &[("CUP", 3), ("POT", 1)]).await;
    receive(&system, &comes, "came", &[("CUP", 3, true), ("POT", 1, false)]).await;
    ended(&system, &comes, "completed").await;
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 2_000);
    say_everything_again(&system).await;
    system.finish().await;
}

/// Has one step refused, and looks whether nothing is left of the return.
async fn refuse(system: &System, placed: &Placed, step: &str) {
    // The saga stands still until the refusal lies where the step's own participant will look for it.
    system.pause("orchestrator");
    let token = format!("refused-{step}");
    let id = announced(system, placed, &token, &[("CUP", 3)]).await;
    let saga = id.parse::<ReturnId>().expect("a return's id").uuid();
    sqlx::query("insert into barrier (saga_id, step, direction, outcome) values ($1, $2, 'do', $3)")
        .bind(saga)
        .bind(step)
        .bind(Json(Outcome::refused("injected", "the test says no")))
        .execute(&mut system.database("order").await)
        .await
        .expect("the refusal is written");
    if step == "accept_return" {
        receive(system, &id, &format!("came-{step}"), &[("CUP", 3, true)]).await;
    }
    system.resume("orchestrator");
    let refused = ended(system, &id, "refused").await;
    assert_eq!(refused.text_at("/failure_code"), "injected", "{step}");
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 0, "{step}");
    assert_eq!(system.stock("CUP").await, Stock { on_hand: 97, bound: 0 }, "{step}");
    assert_eq!(read(system, placed).await.text_at("/return_status"), "none", "{step}");
}

/// All commands, replies and events once more, as a stream that is told again from its beginning would have it.
async fn say_everything_again(system: &System) {
    let jetstream = system.jetstream().await;
    jetstream.wait_until_consumed().await;
    let before = system.digests().await;
    for stream in STREAMS {
        for said in jetstream.messages(stream).await {
            jetstream.publish(&said.subject, without_deadlines(&said.body)).await;
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
