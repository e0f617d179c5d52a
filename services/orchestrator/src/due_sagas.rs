//! Finding sagas whose deadline has come. Work is proportional to what is due, whatever the number that waits.

use std::time::Duration;

use makegood_messaging::worker::Worker;
use makegood_saga::event::Event;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{driver::Timed, saga_store};

/// Deadlines are seconds; a tenth of one late is early enough, and ten indexed look-ups a second cost nothing.
const ROUND: Duration = Duration::from_millis(100);
/// Taken at once; when that many were due, the next round follows without a pause.
const MAX_DUE: i64 = 500;
/// After a reconnection what is out is sent again first, which costs no attempt. So long deadlines wait for that: many times as long as it takes,
/// and short, since streams that cannot be made keep it from happening.
const HEAD_START: Duration = Duration::from_secs(5);

/// Hands due sagas to the driver until shutdown.
///
/// While NATS is away, or hangs, no deadline fires: silence is then not the participants' fault, and what is out is sent again
/// after the reconnection.
pub(crate) async fn find(
    worker: Worker,
    driver: mpsc::Sender<Vec<Timed>>,
    mut recovered: watch::Receiver<u64>,
) -> anyhow::Result<()> {
    let connections = worker.bus.reconnections();
    let mut waited_for = 0;
    while !worker.shutdown.token.is_cancelled() {
        let pause = if worker.bus_answers().await {
            let connection = *connections.borrow();
            if waited_for < connection {
                // That nobody recovers any more (an error inside) is the shutdown's doing, and seen by the loop.
                let recovery = timeout(HEAD_START, recovered.wait_for(|recovered| *recovered >= connection)).await;
                if recovery.is_err() {
                    tracing::warn!(
                        "what is out is not sent again yet after a reconnection; deadlines go on without it"
                    );
                }
                waited_for = connection;
            }
            one_round(&worker, &driver).await
        } else {
            ROUND
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = worker.shutdown.token.cancelled() => {}
        }
    }
    Ok(())
}

async fn one_round(worker: &Worker, driver: &mpsc::Sender<Vec<Timed>>) -> Duration {
    let due = match saga_store::take_due(&worker.db, MAX_DUE).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "due sagas could not be looked for; trying again");
            return Duration::from_secs(1);
        }
    };
    if due.is_empty() {
        return ROUND;
    }
    let all_taken = due.len() as i64 == MAX_DUE;
    let events = due.into_iter().map(|(saga_id, revision)| Timed { saga_id, revision, event: Event::Woke }).collect();
    if driver.send(events).await.is_err() {
        // The driver has ended: shutdown is under way, and the sagas are due again in five seconds.
        return ROUND;
    }
    if all_taken { Duration::ZERO } else { ROUND }
}
