//! Finding sagas whose deadline has come. Work is proportional to what is due, whatever the number that waits.

use std::time::Duration;

use makegood_messaging::worker::Worker;
use makegood_saga::event::Event;
use tokio::sync::mpsc;

use crate::{driver::Timed, saga_store};

/// Deadlines are seconds; a tenth of one late is early enough, and ten indexed look-ups a second cost nothing.
const ROUND: Duration = Duration::from_millis(100);
/// Taken at once; when that many were due, the next round follows without a pause.
const MAX_DUE: i64 = 500;

/// Hands due sagas to the driver until shutdown.
///
/// While NATS is away no deadline fires: silence is then not the participants' fault, and what is out is sent again
/// after the reconnection.
pub(crate) async fn find(worker: Worker, driver: mpsc::Sender<Vec<Timed>>) -> anyhow::Result<()> {
    while !worker.shutdown.token.is_cancelled() {
        let pause = match worker.bus.is_connected() {
            true => one_round(&worker, &driver).await,
            false => ROUND,
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
