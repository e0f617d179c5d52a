//! P3, P6, P7: whatever dies while orders are on their way, each of them ends, once, and nobody repairs anything by hand.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use makegood_contracts::{catalog::PRODUCT_PRICED, fulfillment::SHIPMENT_SHIPPED, subject};
use makegood_tests::{Api, As, IMPATIENT, JetStream, Placed, Stock, System, until};
use tokio::sync::Notify;

const ORDERS_PER_FAULT: usize = 50;
/// I4 of the faults: all is decided 120 s after the last of them.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);
/// Half of the time that a step of payment has: on a busy machine too, it takes a second or two.
const SENT_AGAIN_WITHIN: Duration = Duration::from_secs(15);
/// Many times as long as a storm takes to send something four times, and shorter than a step of payment has to answer.
const STORM_WITHIN: Duration = Duration::from_secs(4);
const AUTHORIZE: &str = "cmd.payment.authorize_payment.v1";
const UNITS: i64 = 1_000;
/// Three pings, each 5 s after the one before, and what a busy machine adds; left to itself the client takes three minutes.
const TAKEN_FOR_GONE_WITHIN: Duration = Duration::from_secs(60);
/// The next one shows that the server hangs: 3 s after it was sent, 2 s before it is due once more. One may have gone out just before.
const ATTEMPTS_UNTIL_NOTICED: i64 = 2;
/// One by one: each is a dozen messages, many more than the one order after them brings, however often it is sent again.
const ORDERS_BEFORE: usize = 20;

/// A few orders' messages; the others come one by one, and fill it several times over.
const SMALL_STREAM_BYTES: i64 = 32 << 10;
const ORDERS_THAT_FILL: usize = 20;

/// Places this many orders at once, and has something happen as soon as the first is accepted: then the others are
/// anywhere between their first request and their last step.
async fn place_during(system: &mut System, orders: usize, fault: impl AsyncFnOnce(&mut System)) -> Vec<Placed> {
    let api = system.api.clone();
    let accepted = Notify::new();
    let placing = stream::iter(0..orders)
        .map(|_| api.place_order(&[("CUP", 1)]))
        .buffer_unordered(orders)
        .inspect_ok(|_| accepted.notify_one())
        .try_collect();
    let happening = async {
        accepted.notified().await;
        fault(system).await;
    };
    let (placed, ()) = tokio::join!(placing, happening);
    placed.expect("all are accepted")
}

async fn all_complete(system: &System, placed: &[Placed], fault: &str) {
    for order in placed {
        let status = system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await;
        assert_eq!(status, "completed", "{} after {fault}", order.checkout);
    }
}

/// What was sold, and nothing else, has left the stock.
async fn sold(system: &System, units: usize) {
    let units = i64::try_from(units).expect("a count");
    assert_eq!(system.stock("CUP").await, Stock { on_hand: UNITS - units, bound: 0 });
}

#[tokio::test]
async fn orders_complete_though_any_role_is_killed_on_their_way() {
    let mut system = System::start_with(&IMPATIENT).await;
    system.api.sell("CUP", "3.00", UNITS).await.expect("on sale");
    let roles = ["orchestrator", "order", "cart", "inventory", "payment", "fulfillment", "sandbox"];
    for role in roles {
        let placed = place_during(&mut system, ORDERS_PER_FAULT, async |system| {
            system.kill9(role).await;
            system.restart(role).await;
        })
        .await;
        all_complete(&system, &placed, role).await;
    }
    sold(&system, roles.len() * ORDERS_PER_FAULT).await;
    system.finish().await;
}

/// Payment's steps have 30 s to answer. What was out when the orchestrator died must not wait for those.
#[tokio::test]
async fn what_was_out_is_sent_again_when_the_orchestrator_starts() {
    let mut system = System::start().await;
    system.api.sell("CUP", "3.00", UNITS).await.expect("on sale");
    system.stop("payment").await;
    let order = system.api.place_order(&[("CUP", 1)]).await.expect("accepted");
    until("payment is asked", DECIDED_WITHIN, async || {
        let asked = "select count(*) from saga where step = 'authorize_payment'";
        (system.count("orchestrator", asked).await == 1).then_some(())
    })
    .await;
    system.kill9("orchestrator").await;
    system.jetstream().await.delete_stream(subject::COMMAND_STREAM).await;
    system.restart("payment").await;
    system.restart("orchestrator").await;
    assert_eq!(system.api.wait_until_ended(&order.checkout, SENT_AGAIN_WITHIN).await, "completed");
    sold(&system, 1).await;
    system.finish().await;
}

/// A stream for which the server has no room must not have every saga send again as often as it is tried to be made.
#[tokio::test]
async fn what_is_out_is_sent_again_once_and_not_each_time_that_a_stream_cannot_be_made() {
    let mut system = System::start().await;
    system.api.sell("CUP", "3.00", UNITS).await.expect("on sale");
    system.stop("payment").await;
    let order = system.api.place_order(&[("CUP", 1)]).await.expect("accepted");
    let is_out = async |jetstream: &JetStream, times: usize| {
        let said = jetstream.messages(subject::COMMAND_STREAM).await;
        (said.iter().filter(|said| said.subject == AUTHORIZE).count() >= times).then_some(())
    };
    let jetstream = system.jetstream().await;
    until("payment is asked", DECIDED_WITHIN, async || is_out(&jetstream, 1).await).await;

    jetstream.delete_stream(subject::EVENT_STREAM).await;
    jetstream.squat(subject::EVENT_SUBJECTS).await;
    system.kill_nats().await;
    let jetstream = system.jetstream().await;
    let storm = until("it storms", DECIDED_WITHIN, async || is_out(&jetstream, 4).await);
    tokio::time::timeout(STORM_WITHIN, storm).await.expect_err("sent again and again though no stream could be made");

    jetstream.leave().await;
    until("payment is asked again", SENT_AGAIN_WITHIN, async || is_out(&jetstream, 2).await).await;
    system.restart("payment").await;
    assert_eq!(system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await, "completed");
    sold(&system, 1).await;
    system.finish().await;
}

#[tokio::test]
async fn orders_complete_though_all_of_jetstream_is_lost_and_servers_are_killed() {
    let mut system = System::start_with(&IMPATIENT).await;
    system.api.sell("CUP", "3.00", UNITS).await.expect("on sale");

    let placed = place_during(&mut system, ORDERS_PER_FAULT, System::wipe_nats).await;
    all_complete(&system, &placed, "the loss of JetStream").await;

    let placed = place_during(&mut system, ORDERS_PER_FAULT, async |system| {
        system.kill_nats().await;
        system.kill_postgres().await;
    })
    .await;
    all_complete(&system, &placed, "the death of NATS and PostgreSQL").await;

    let placed = place_during(&mut system, 4 * ORDERS_PER_FAULT, async |system| {
        // The servers stay up: no reconnection tells anyone that something is lost.
        let jetstream = system.jetstream().await;
        jetstream.delete_stream(subject::COMMAND_STREAM).await;
        jetstream.delete_stream(subject::REPLY_STREAM).await;
    })
    .await;
    all_complete(&system, &placed, "the deletion of streams").await;
    sold(&system, 6 * ORDERS_PER_FAULT).await;
    // What an event says has long been known here, but whoever had not read it yet has lost it with the stream.
    let jetstream = system.jetstream().await;
    jetstream.delete_stream(subject::EVENT_STREAM).await;
    for name in [PRODUCT_PRICED, SHIPMENT_SHIPPED] {
        let told = subject::event(name);
        let is_told = async || jetstream.holds(subject::EVENT_STREAM, &told).await.then_some(());
        until(&format!("{told} is told again"), SENT_AGAIN_WITHIN, is_told).await;
    }
    system.finish().await;
}

/// As nats-server leaves a stream that is made while one of the same name is still on its way out, or when its disk fails:
/// it takes messages, stores none and answers nobody.
#[tokio::test]
async fn orders_complete_though_a_stream_stores_nothing_any_more() {
    let mut system = System::start_with(&IMPATIENT).await;
    system.api.sell("CUP", "3.00", UNITS).await.expect("on sale");
    let placed = place_during(&mut system, ORDERS_PER_FAULT, async |system| {
        system.break_stream(subject::COMMAND_STREAM).await;
    })
    .await;
    all_complete(&system, &placed, "a broken stream").await;
    sold(&system, ORDERS_PER_FAULT).await;
    system.finish().await;
}

/// As nats-server leaves them when a stream is made in the folder of a broken one: they stand where that one's had come to, and pass over
/// all that the new one stores until it has come so far too.
#[tokio::test]
async fn orders_complete_though_consumers_stand_beyond_the_end_of_their_stream() {
    let system = System::start_with(&IMPATIENT).await;
    system.api.sell("CUP", "3.00", UNITS).await.expect("on sale");
    for order in 0..ORDERS_BEFORE {
        let placed = system.api.place_order(&[("CUP", 1)]).await.expect("accepted");
        let status = system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await;
        assert_eq!(status, "completed", "the order {order}");
    }
    system.delete_stream_but_not_its_consumers(subject::COMMAND_STREAM).await;
    let placed = system.api.place_order(&[("CUP", 1)]).await.expect("accepted");
    all_complete(&system, &[placed], "what consumers had read was not there any more").await;
    assert!(
        system.log_of("payment").contains("its stream ends at"),
        "its consumer stood where the one before had stood"
    );
    sold(&system, ORDERS_BEFORE + 1).await;
    system.finish().await;
}

/// What is done with stays in its stream for an hour, and a stream has a bound: a shop that fills it within the hour sells on. These are made as
/// the release before made them, which refused whatever was new until the hour was over.
#[tokio::test]
async fn orders_complete_though_their_streams_are_full() {
    let system = System::start().await;
    system.api.sell("CUP", "3.00", UNITS).await.expect("on sale");
    let jetstream = system.jetstream().await;
    for stream in [subject::COMMAND_STREAM, subject::REPLY_STREAM] {
        jetstream.refuse_beyond(stream, SMALL_STREAM_BYTES).await;
    }
    for _ in 0..ORDERS_THAT_FILL {
        let placed = system.api.place_order(&[("CUP", 1)]).await.expect("accepted");
        all_complete(&system, &[placed], "its streams were full").await;
    }
    for stream in [subject::COMMAND_STREAM, subject::REPLY_STREAM] {
        let has_been_full = jetstream.first_sequence(stream).await > 1;
        assert!(has_been_full, "{stream} had to let go of something");
    }
    sold(&system, ORDERS_THAT_FILL).await;
    system.finish().await;
}

/// SIGSTOP: connections stand, and nobody answers. Silence is nobody's fault then: each step keeps its attempts for when there is somebody to ask.
#[tokio::test]
async fn a_bus_that_hangs_costs_no_step_its_attempts() {
    let mut system = System::start().await;
    system.api.sell("CUP", "3.00", UNITS).await.expect("on sale");
    system.stop("inventory").await;
    let api = system.api.clone();
    let hanging = async {
        let asked = until("inventory is asked", DECIDED_WITHIN, async || attempts_of_hold(&api).await).await;
        system.pause_nats();
        let is_noticed =
            async || system.log_of("orchestrator").contains("leaves a message without an answer").then_some(());
        until("the orchestrator hears nothing", TAKEN_FOR_GONE_WITHIN, is_noticed).await;
        let is_gone = async || system.log_of("orchestrator").contains("event=disconnected").then_some(());
        until("the orchestrator takes NATS for gone", TAKEN_FOR_GONE_WITHIN, is_gone).await;
        let then = attempts_of_hold(&api).await.expect("a saga is shown while NATS hangs");
        assert!(then - asked <= ATTEMPTS_UNTIL_NOTICED, "{asked} attempts, then {then} though nobody could be asked");
        system.resume_nats();
        system.restart("inventory").await;
    };
    let (order, ()) = tokio::join!(api.place_order(&[("CUP", 1)]), hanging);
    let order = order.expect("accepted");
    assert_eq!(system.api.wait_until_ended(&order.checkout, DECIDED_WITHIN).await, "completed");
    sold(&system, 1).await;
    system.finish().await;
}

/// How often the only saga there is has asked inventory to hold stock.
async fn attempts_of_hold(api: &Api) -> Option<i64> {
    let sagas = api.get("/v1/admin/sagas", As::Operator).await.ok()?;
    let id = sagas.body["data"].get(0)?["id"].as_str()?;
    let shown = api.get(&format!("/v1/admin/sagas/{id}"), As::Operator).await.ok()?;
    let steps = shown.body["steps"].as_array()?;
    steps.iter().find(|step| step["step"] == "hold_stock")?["attempts"].as_i64().filter(|attempts| *attempts > 0)
}
