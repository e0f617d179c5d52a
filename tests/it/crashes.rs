//! P3, P6, P7: whatever dies while orders are on their way, each of them ends, once, and nobody repairs anything by hand.

use std::time::Duration;

use futures::future::try_join_all;
use makegood_tests::{Placed, System};

const ORDERS_PER_FAULT: usize = 20;
/// A12 of the faults: what is unknown is asked about after a minute, and I4: all is decided 120 s after the last fault.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);

async fn place(system: &System) -> Vec<Placed> {
    let orders = (0..ORDERS_PER_FAULT).map(|_| system.api.place_order(&[("CUP", 1)]));
    try_join_all(orders).await.expect("all are accepted")
}

async fn all_complete(system: &System, placed: &[Placed], fault: &str) {
    for order in placed {
        let status = system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await;
        assert_eq!(status, "completed", "{} after {fault}", order.checkout);
    }
}

#[tokio::test]
async fn orders_complete_though_any_role_is_killed_on_their_way() {
    let mut system = System::start().await;
    system.api.sell("CUP", "3.00", 1_000).await.expect("on sale");
    for role in ["orchestrator", "order", "cart", "inventory", "payment", "fulfillment", "sandbox"] {
        let placed = place(&system).await;
        system.kill9(role).await;
        system.restart(role).await;
        all_complete(&system, &placed, role).await;
    }
    system.finish().await;
}

#[tokio::test]
async fn orders_complete_though_all_of_jetstream_is_lost_and_servers_are_killed() {
    let mut system = System::start().await;
    system.api.sell("CUP", "3.00", 1_000).await.expect("on sale");

    let placed = place(&system).await;
    system.wipe_nats().await;
    all_complete(&system, &placed, "the loss of JetStream").await;

    let placed = place(&system).await;
    system.kill_nats().await;
    system.kill_postgres().await;
    all_complete(&system, &placed, "the death of NATS and PostgreSQL").await;
    system.finish().await;
}
