//! P3, P6, P7: a process dies at each failpoint while orders pass it, is started again, and nobody notices: every order that
//! was accepted completes, once.
//!
//! The points are looked at one after the other and not apart: orders of the last one may still be on their way when the
//! next process dies. Where chaos.rs and crashes.rs kill at any moment, the moments here are those between two things that
//! a crash could part.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use makegood_chassis::failpoint::Failpoint;
use makegood_tests::{Api, As, IMPATIENT, Placed, Stock, System, until};
use serde_json::json;

/// Enough for several batches at every point; few enough that the whole list takes less than a minute.
const ORDERS_PER_POINT: usize = 6;
/// Orders that wait for their buyer, so that there is something to recover and to call off in bulk.
const OPEN: usize = 4;
const UNITS: i64 = 1_000;
const REACHED_WITHIN: Duration = Duration::from_secs(30);
const DECIDED_WITHIN: Duration = Duration::from_secs(120);

/// Which role dies at a point, and on which pass of it: not always the first, so that something has gone well before.
fn role_and_pass(point: Failpoint) -> (&'static str, u32) {
    match point {
        Failpoint::OrchestratorBeforeWrite => ("orchestrator", 3),
        Failpoint::OrchestratorAfterCommit => ("orchestrator", 4),
        Failpoint::OrchestratorAfterPublish => ("orchestrator", 5),
        Failpoint::OrchestratorDuringRecovery => ("orchestrator", 1),
        Failpoint::OrchestratorBetweenBulkBatches => ("orchestrator", 2),
        Failpoint::ParticipantBeforeEffect => ("inventory", 2),
        Failpoint::ParticipantBeforeCommit => ("inventory", 2),
        Failpoint::ParticipantBeforeReply => ("inventory", 3),
        Failpoint::ParticipantBeforeAck => ("inventory", 3),
        Failpoint::PaymentBeforeCall => ("payment", 1),
        Failpoint::PaymentAfterCall => ("payment", 2),
        Failpoint::OrderBeforeStart => ("order", 1),
        Failpoint::HttpBeforeAnswer => ("cart", 3),
        Failpoint::EventRelayBeforeSave => ("order", 2),
    }
}

#[tokio::test]
async fn every_order_completes_though_a_process_dies_at_each_failpoint() {
    let mut system = System::start_with(&IMPATIENT).await;
    system.api.sell("MUG", "4.00", UNITS).await.expect("on sale");
    let open = join_all((0..OPEN).map(|_| open_checkout(&system.api))).await;

    let mut placed = Vec::new();
    // Payment first: its steps have 30 s to answer, and the test need not wait for them in the end.
    let mut points = Failpoint::all().to_vec();
    points.sort_by_key(|point| role_and_pass(*point).0 != "payment");
    for point in points {
        let (role, pass) = role_and_pass(point);
        eprintln!("{role} dies at {}", point.name());
        system.arm(role, &format!("{}={pass}", point.name())).await;
        let api = system.api.clone();
        let load = async || {
            if point == Failpoint::OrchestratorBetweenBulkBatches {
                call_off(&api).await;
            }
            try_join_all((0..ORDERS_PER_POINT).map(|_| api.place_order(&[("MUG", 1)]))).await
        };
        let (orders, ()) = tokio::join!(load(), system.die_and_restart(role, REACHED_WITHIN));
        placed.extend(orders.expect("all are accepted").into_iter().map(|order| (point.name(), order)));
    }

    for (point, order) in &placed {
        let status = system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await;
        assert_eq!(status, "completed", "{} after {point}", order.checkout);
    }
    for checkout in &open {
        assert_eq!(system.api.wait_until_ended(checkout, DECIDED_WITHIN).await, "cancelled");
    }
    until("the bulk operation is done", DECIDED_WITHIN, async || {
        let done = "select count(*) from bulk_operation where state = 'done' and done = matches";
        (system.count("orchestrator", done).await == 1).then_some(())
    })
    .await;
    books_are_exact(&system, i64::try_from(placed.len()).expect("a count")).await;
    system.finish().await;
}

async fn open_checkout(api: &Api) -> String {
    let cart = api.cart(&[("MUG", 1)]).await.expect("a cart");
    let Placed { checkout, .. } = api.check_out(&Api::open_checkout_of(&cart)).await.expect("accepted");
    let path = format!("/v1/checkouts/{checkout}");
    until("the buyer is waited for", REACHED_WITHIN, async || {
        let shown = api.get(&path, As::Buyer).await.ok()?;
        (shown.body["status"] == "open").then_some(())
    })
    .await;
    checkout
}

/// Every order that waits for its buyer is called off by one bulk operation, one a batch.
async fn call_off(api: &Api) {
    let filter = json!({"state": "waiting", "step": "confirmation"});
    let bulk = json!({"action": "cancel", "filter": filter, "reason": "a drill", "rate_per_second": 5});
    let started = api.insist("/v1/admin/sagas:bulk", As::Operator, &api.fresh_token(), &bulk).await;
    assert_eq!(started.body["matches"], OPEN, "{started:?}");
}

/// Each order was charged once and has left the stock once, and each of those called off stands in the audit once.
async fn books_are_exact(system: &System, completed: i64) {
    assert_eq!(system.stock("MUG").await, Stock { on_hand: UNITS - completed, bound: 0 });
    for (service, sql, expected) in [
        ("order", "select count(*) from orders where status = 'completed'", completed),
        ("sandbox", "select count(*) from charge where state = 'captured'", completed),
        ("sandbox", "select count(distinct order_id) from charge where state = 'captured'", completed),
        ("sandbox", "select count(*) from charge where state in ('authorized', 'requires_action')", 0),
        ("orchestrator", "select count(*) from audit where action = 'cancel'", OPEN as i64),
    ] {
        assert_eq!(system.count(service, sql).await, expected, "{sql}");
    }
}
