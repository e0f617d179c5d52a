//! What an operator sees of an order from outside: its trace, step by step, and the counters of the roles.

use std::time::Duration;

use makegood_tests::{As, Collector, System, until};

const DECIDED_WITHIN: Duration = Duration::from_secs(30);
const EXPORTED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_step_is_a_span_of_the_order_s_trace_and_is_counted() {
    let collector = Collector::start().await;
    let system = System::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        // Milliseconds between two exports.
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ])
    .await;
    system.api.sell("TEA", "12.50", 10).await.expect("on sale");
    let placed = system.api.place_order(&[("TEA", 2)]).await.expect("placed");
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "completed");

    let found =
        system.api.get(&format!("/v1/admin/sagas?order={}", placed.order), As::Operator).await.expect("answers");
    let saga = format!("/v1/admin/sagas/{}", found.text_at("/data/0/id"));
    let saga = system.api.get(&saga, As::Operator).await.expect("answers");
    let commands: Vec<&str> = saga.body["steps"]
        .as_array()
        .expect("a list of steps")
        .iter()
        .filter(|step| step["status"] != "skipped")
        .filter_map(|step| step["command"].as_str())
        .collect();
    assert!(commands.contains(&"payment.capture_payment"), "{commands:?}");
    let traceparent = saga.text_at("/traceparent");
    for command in &commands {
        let what = format!("a span {command} in {traceparent}");
        until(&what, EXPORTED_WITHIN, async || collector.has_span(traceparent, command).then_some(())).await;
    }
    for secret in ["pm_card_visa", "buyer@example.com"] {
        assert!(!collector.mentions(secret), "{secret} stands in a trace");
    }

    let orchestrator = system.metrics("orchestrator").await;
    for line in [
        r#"makegood_sagas_begun_total{definition="checkout"} 1"#,
        r#"makegood_saga_seconds_count{definition="checkout",ended="completed"} 1"#,
        r#"makegood_saga_commands_sent_total{subject="cmd.payment.capture_payment.v1"} 1"#,
        r#"makegood_saga_commands_sent_again_total{subject="cmd.payment.capture_payment.v1"} 0"#,
    ] {
        assert!(orchestrator.lines().any(|told| told == line), "no {line} in\n{orchestrator}");
    }
    let inventory = system.metrics("inventory").await;
    for line in [
        r#"makegood_commands_total{command="inventory.hold_stock",outcome="done"} 1"#,
        r#"makegood_command_batch_seconds_count{command="inventory.hold_stock"} 1"#,
    ] {
        assert!(inventory.lines().any(|told| told == line), "no {line} in\n{inventory}");
    }
    system.finish().await;
}
