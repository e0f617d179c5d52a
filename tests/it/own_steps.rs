//! P6 for steps in other languages (scenarios 12, 13, 35, 36 and 53 of the engine): the participants of `examples/`, one in
//! Python and one in TypeScript, each effect once, whatever is refused, repeated, late or killed.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use jsonschema::Validator;
use makegood_contracts::{
    command::{Command, Direction, StepKey},
    id::{CheckoutId, SagaId},
    reply::{Outcome, Reply},
    subject,
};
use makegood_tests::{Api, As, GIFTWRAP, LOYALTY, Said, System, example_definitions, until};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

const DECIDED_WITHIN: Duration = Duration::from_secs(60);
/// Enough that the killed participant has some of them done, some at hand and some to come.
const GIFTS: i64 = 200;
const AT_ONCE: usize = 16;
const COMMAND_SCHEMA: &str = include_str!("../../docs/envelope/command.schema.json");
const REPLY_SCHEMA: &str = include_str!("../../docs/envelope/reply.schema.json");

#[tokio::test]
async fn steps_in_python_and_typescript_take_effect_once_or_not_at_all() {
    let definitions = example_definitions().display().to_string();
    let mut system = System::start_with(&[("MAKEGOOD_DEFINITIONS", &definitions)]).await;
    system.start_example(LOYALTY).await;
    system.start_example(GIFTWRAP).await;
    execute(&system, "giftwrap", "insert into paper values ('stars', true), ('snow', false)").await;
    execute(&system, "loyalty", "insert into account values ('gone@example.com', true)").await;

    welcome(&system, "ann@example.com", "stars", "completed").await;
    assert_eq!(effects(&system).await, (1, 1));
    welcome(&system, "gone@example.com", "stars", "compensated").await;
    welcome(&system, "bob@example.com", "snow", "compensated").await;
    assert_eq!(effects(&system).await, (1, 1), "what is refused later is undone");

    both_die_at_work(&mut system).await;
    assert_eq!(effects(&system).await, (GIFTS + 1, GIFTS + 1));
    undone_before_it_was_done(&system, "loyalty.award_points", "loyalty.revoke_points").await;
    undone_before_it_was_done(&system, "giftwrap.wrap_gift", "giftwrap.unwrap_gift").await;
    assert_eq!(effects(&system).await, (GIFTS + 1, GIFTS + 1), "after an undoing that came first");
    a_failure_is_not_stored(&system).await;
    what_is_pending_is_settled_once_and_not_after_its_undo(&system).await;
    say_everything_again(&system).await;
    assert_eq!(effects(&system).await, (GIFTS + 1, GIFTS + 1), "after everything was said again");

    a_checkout_with_points(&system).await;
    everything_said_fits_its_schema(&system).await;
    system.finish().await;
}

async fn execute(system: &System, service: &str, sql: &'static str) {
    sqlx::query(sql).execute(&mut system.database(service).await).await.expect("executes");
}

/// Awards that stand, and gifts that are wrapped.
async fn effects(system: &System) -> (i64, i64) {
    let awards = system.count("loyalty", "select count(*) from points").await;
    (awards, system.count("giftwrap", "select count(*) from wrapping").await)
}

async fn begin(api: &Api, customer: &str, paper: &str) -> String {
    let total = json!({"amount": "12.99", "currency": "GBP"});
    let input = json!({"customer": customer, "total": total, "paper": paper});
    let request = json!({"definition": "welcome-gift", "reference": customer, "customer": customer, "input": input});
    let token = api.fresh_token();
    let answer = api.insist("/v1/admin/sagas", As::Operator, &token, &request).await;
    assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
    answer.text_at("/id").to_owned()
}

async fn wait_until(system: &System, saga: &str, state: &str) -> Value {
    let path = format!("/v1/admin/sagas/{saga}");
    until(&format!("{saga} is {state}"), DECIDED_WITHIN, async || {
        let answer = system.api.get(&path, As::Operator).await.ok()?;
        (answer.text_at("/state") == state).then_some(answer.body)
    })
    .await
}

async fn welcome(system: &System, customer: &str, paper: &str, state: &str) {
    let saga = begin(&system.api, customer, paper).await;
    let told = wait_until(system, &saga, state).await;
    if state == "completed" {
        assert_eq!(told["context"]["award_points"], json!({"points": 12}));
        assert_eq!(told["context"]["wrap_gift"], json!({"paper": "stars"}));
    }
}

/// SIGKILL for each in turn, while commands for both keep coming.
async fn both_die_at_work(system: &mut System) {
    let api = system.api.clone();
    let customers: Vec<String> = (0..GIFTS).map(|n| format!("{n}@example.com")).collect();
    let beginning =
        stream::iter(&customers).map(|customer| begin(&api, customer, "stars")).buffer_unordered(AT_ONCE).collect();
    let dying = async {
        for participant in [LOYALTY, GIFTWRAP] {
            until("a further effect", DECIDED_WITHIN, async || (effects(system).await.1 > 1).then_some(())).await;
            system.kill9(participant.service).await;
            system.restart(participant.service).await;
        }
    };
    let (sagas, ()): (Vec<String>, ()) = tokio::join!(beginning, dying);
    for saga in &sagas {
        wait_until(system, saga, "completed").await;
    }
}

/// An undo without its action is done and does nothing; the action that comes after it is refused.
async fn undone_before_it_was_done(system: &System, action: &str, undo: &str) {
    let saga_id = Uuid::now_v7();
    let payload =
        json!({"customer": "late@example.com", "total": {"amount": "5.00", "currency": "GBP"}, "paper": "stars"});
    let jetstream = system.jetstream().await;
    for (verb, direction) in [(undo, Direction::Undo), (action, Direction::Do)] {
        let command = Command {
            key: StepKey { saga_id, step: "out_of_order".to_owned(), direction },
            attempt: 1,
            deadline: None,
            traceparent: None,
            reply_to: subject::reply(0),
            payload: serde_json::value::to_raw_value(&payload).expect("encodes"),
        };
        jetstream.publish(&subject::command(verb), serde_json::to_vec(&[command]).expect("encodes")).await;
        let outcome = until(&format!("{verb} is answered"), DECIDED_WITHIN, async || {
            let replies = replies(&jetstream.messages("MAKEGOOD_REPLY").await);
            let is_it = |reply: &Reply| reply.key.saga_id == saga_id && reply.key.direction == direction;
            replies.into_iter().find(is_it).map(|reply| reply.outcome)
        })
        .await;
        match direction {
            Direction::Undo => assert_eq!(outcome, Outcome::done()),
            Direction::Do => {
                assert!(matches!(&outcome, Outcome::Refused { code, .. } if code == "compensated"), "{outcome:?}")
            }
        }
    }
}

fn replies(messages: &[Said]) -> Vec<Reply> {
    messages.iter().flat_map(|said| serde_json::from_slice::<Vec<Reply>>(&said.body).expect("replies")).collect()
}

/// It would be the answer to each further attempt.
async fn a_failure_is_not_stored(system: &System) {
    for participant in [LOYALTY, GIFTWRAP] {
        let decide = r#"select barrier_decide('{}', '{"status": "failed", "detail": "busy", "retryable": true}')"#;
        let stored = sqlx::query(decide).execute(&mut system.database(participant.service).await).await;
        assert!(stored.is_err_and(|error| error.to_string().contains("roll back what the command did")));
    }
}

/// Of a step that somebody outside decides: once, and never after it was undone.
async fn what_is_pending_is_settled_once_and_not_after_its_undo(system: &System) {
    let mut database = system.database("loyalty").await;
    let mut ask = async |sql: &'static str, saga: Uuid, direction: &str, outcome: Value| -> Option<Value> {
        let key = json!({"saga_id": saga, "step": "approval", "direction": direction});
        let answer = sqlx::query_scalar(sql).bind(key).bind(outcome).fetch_one(&mut database).await;
        answer.expect("it answers")
    };
    const CLAIM: &str = "select barrier_claim($1) from (select $2::jsonb) as unused";
    const DECIDE: &str = "select null::jsonb from (select barrier_decide($1, $2)) as decided";
    const SETTLE: &str = "select barrier_settle($1, $2)";
    let (pending, done) = (json!({"status": "pending", "reason": "boss"}), json!({"status": "done"}));
    for is_undone in [false, true] {
        let saga = Uuid::now_v7();
        assert_eq!(ask(CLAIM, saga, "do", Value::Null).await, None);
        ask(DECIDE, saga, "do", pending.clone()).await;
        assert_eq!(ask(CLAIM, saga, "do", Value::Null).await, Some(pending.clone()), "asked again, it says so again");
        if is_undone {
            assert_eq!(ask(CLAIM, saga, "undo", Value::Null).await, None, "it may have taken effect");
            ask(DECIDE, saga, "undo", done.clone()).await;
        }
        let settled = ask(SETTLE, saga, "do", done.clone()).await;
        let stands = match is_undone {
            false => {
                assert_eq!(settled, None, "it is decided now: whoever asked makes the effect");
                done.clone()
            }
            true => {
                let refused = settled.expect("it was decided before, by its undo");
                assert_eq!(refused["code"], "compensated");
                refused
            }
        };
        let refused = json!({"status": "refused", "code": "no", "detail": "too late"});
        for again in [done.clone(), refused] {
            assert_eq!(
                ask(SETTLE, saga, "do", again).await,
                Some(stands.clone()),
                "the first decision stands, and no effect is made twice"
            );
        }
        assert_eq!(ask(CLAIM, saga, "do", Value::Null).await, Some(stands), "asked again, it says so");
    }
    let unknown = json!({"saga_id": Uuid::now_v7(), "step": "approval"});
    for (outcome, why) in [(done, "there is nothing to settle"), (pending, "not as")] {
        let settled = sqlx::query(SETTLE).bind(&unknown).bind(outcome).execute(&mut database).await;
        assert!(settled.is_err_and(|error| error.to_string().contains(why)), "{why}");
    }
}

/// Commands are said again without their deadline: late ones would not be begun, and here they shall be answered.
async fn say_everything_again(system: &System) {
    let jetstream = system.jetstream().await;
    jetstream.wait_until_consumed().await;
    for stream in ["MAKEGOOD_COMMAND", "MAKEGOOD_REPLY"] {
        for Said { subject, body } in jetstream.messages(stream).await {
            let mut items: Vec<Value> = serde_json::from_slice(&body).expect("a message is an array");
            for item in items.iter_mut().filter_map(Value::as_object_mut) {
                item.remove("deadline");
            }
            jetstream.publish(&subject, serde_json::to_vec(&items).expect("encodes")).await;
        }
    }
    jetstream.wait_until_consumed().await;
}

/// The shop's own version of the checkout: points before the money is taken, and revoked when that is refused.
async fn a_checkout_with_points(system: &System) {
    let before = effects(system).await.0;
    system.api.sell("TEAPOT", "19.90", 10).await.expect("on sale");
    let placed = system.api.place_order(&[("TEAPOT", 2)]).await.expect("accepted");
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "completed");
    let awarded: Vec<i64> = sqlx::query_scalar("select points from points where customer = 'buyer@example.com'")
        .fetch_all(&mut system.database("loyalty").await)
        .await
        .expect("reads");
    assert_eq!(awarded, [39]);

    let cart = system.api.cart(&[("TEAPOT", 1)]).await.expect("a cart");
    let opened = system.api.check_out(&Api::open_checkout_of(&cart)).await.expect("opened");
    let saga: CheckoutId = opened.checkout.parse().expect("a checkout's id");
    refuse_capture(system, saga.uuid()).await;
    let confirm = format!("/v1/checkouts/{}/confirm", opened.checkout);
    let answer = system.api.post(&confirm, As::Buyer, &json!({"payment_method": "pm_card_visa"})).await;
    assert!(answer.expect("answers").status.is_success());
    assert_eq!(system.api.wait_until_ended(&opened.checkout, DECIDED_WITHIN).await, "failed");
    let told = wait_until(system, &SagaId::from_uuid(saga.uuid()).to_string(), "compensated").await;
    assert_eq!((&told["version"], &told["reason"]["step"]), (&json!(1001), &json!("capture_payment")));
    assert_eq!(effects(system).await.0, before + 1, "the points of the refused order are revoked");
}

async fn refuse_capture(system: &System, saga: Uuid) {
    sqlx::query("insert into barrier (saga_id, step, direction, outcome) values ($1, 'capture_payment', 'do', $2)")
        .bind(saga)
        .bind(Json(Outcome::refused("injected", "the test says no")))
        .execute(&mut system.database("payment").await)
        .await
        .expect("the refusal is written");
}

/// All that has travelled, of every service and in every language.
async fn everything_said_fits_its_schema(system: &System) {
    let jetstream = system.jetstream().await;
    for (stream, schema) in [("MAKEGOOD_COMMAND", COMMAND_SCHEMA), ("MAKEGOOD_REPLY", REPLY_SCHEMA)] {
        let validator = validator(schema);
        let messages = jetstream.messages(stream).await;
        let mut checked = 0;
        for Said { subject, body } in messages.iter().filter(|said| !said.subject.starts_with("cmd.orchestrator.")) {
            let message: Value = serde_json::from_slice(body).expect("a message is JSON");
            if let Err(error) = validator.validate(&message) {
                panic!("{subject}: {error} in {message}");
            }
            checked += 1;
        }
        assert!(checked > 0, "{stream} holds what was said");
    }
}

fn validator(schema: &str) -> Validator {
    let schema = serde_json::from_str(schema).expect("a schema is JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema can be compiled")
}
