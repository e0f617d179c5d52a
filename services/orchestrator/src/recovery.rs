//! Sending again what may have been lost: at start-up, and after each reconnection to NATS.
//!
//! A restart of NATS may have lost messages that it had acked, or all of its streams. Rather than wait for every
//! deadline, all live sagas send what is out once more; participants answer what they did before from the barrier.

use std::time::Duration;

use makegood_chassis::failpoint::{self, Failpoint};
use makegood_messaging::worker::Worker;
use makegood_saga::event::Event;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::{driver::Timed, saga_store};

/// Sagas per batch of the walk: the driver stays responsive between two of them.
const CHUNK: i64 = 500;
/// A connection that was just made may still be declaring its streams.
const SETTLE: Duration = Duration::from_millis(100);
/// After a walk that failed, or streams that cannot be made: what keeps them away does not pass in an instant.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Recovers at once and after each reconnection, until shutdown. `recovered` has the count of the last connection after which all was handed over.
pub(crate) async fn recover(
    worker: Worker,
    driver: mpsc::Sender<Vec<Timed>>,
    recovered: watch::Sender<u64>,
) -> anyhow::Result<()> {
    let mut connections = worker.bus.reconnections();
    loop {
        let connection = *connections.borrow_and_update();
        match walk(&worker, &driver).await {
            Ok(()) => {
                recovered.send_replace(connection);
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "recovery was interrupted; trying again");
                tokio::time::sleep(RETRY_AFTER).await;
                connections.mark_changed();
            }
        }
        tokio::select! {
            () = worker.shutdown.token.cancelled() => return Ok(()),
            changed = connections.changed() => if changed.is_err() { return Ok(()) },
        }
        tokio::time::sleep(SETTLE).await;
        if !await_streams(&worker).await {
            return Ok(());
        }
    }
}

/// Waits for the streams, since a stream that is missing keeps nothing of what is sent. Deadlines send again meanwhile: nothing
/// here goes faster than they do. False when shutdown comes first.
async fn await_streams(worker: &Worker) -> bool {
    while let Err(error) = worker.bus.declare_streams().await {
        tracing::warn!(error = format!("{error:#}"), "live sagas send again what is out once the streams are there");
        if !worker.shutdown.pause(RETRY_AFTER).await {
            return false;
        }
    }
    true
}

async fn walk(worker: &Worker, driver: &mpsc::Sender<Vec<Timed>>) -> anyhow::Result<()> {
    let mut after = Uuid::nil();
    let mut found = 0;
    // What begins from now on is sent by whoever begins it, over a connection that is up; the walk does not run after it.
    let Some(last) = saga_store::newest_live(&worker.db).await? else { return Ok(()) };
    loop {
        let live = saga_store::live_between(&worker.db, after, last, CHUNK).await?;
        let Some((reached, _)) = live.last() else { break };
        after = *reached;
        found += live.len();
        let timed = |(saga_id, revision)| Timed { saga_id, revision, event: Event::Recovered };
        if driver.send(live.into_iter().map(timed).collect()).await.is_err() {
            break;
        }
        failpoint::pass(Failpoint::OrchestratorDuringRecovery);
    }
    if found > 0 {
        tracing::info!(sagas = found, "live sagas send again what is out");
    }
    Ok(())
}
