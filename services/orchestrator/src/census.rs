//! How many sagas are where, and for how long, as metrics: what the alerts of the runbook are made of.
//!
//! No index tells a live saga's state, because every move would pay for it. So all of them are read, a bounded part at a
//! time with a longer rest after each: the database spends a small share of one core on it however many sagas wait, and
//! with more of them the figures are merely older. What must be known at once has an index: what is parked, what is stuck,
//! and whether deadlines are late.
//!
//! Every replica tells the same figures: an alert takes their maximum, and never their sum.

mod count;
mod gauges;

use std::time::Duration;

use makegood_messaging::worker::Worker;
use tokio::time::Instant;
use uuid::Uuid;

use self::{count::Census, gauges::Gauges};
use crate::{definitions::Definitions, stuck::StuckLimits};

/// As often as metrics are usually read.
const EVERY: Duration = Duration::from_secs(15);
/// Sagas that are read at once: 12 to 18 ms of one core, as measured on 200,000 that wait.
const PART: i64 = 10_000;
/// After each part, so many times as long as it took: a twentieth of one core at most.
const REST: u32 = 19;

/// Counts until shutdown. What the database would not tell is asked again at the next round.
pub(crate) async fn keep(worker: Worker, definitions: Definitions) -> anyhow::Result<()> {
    let (limits, gauges) = (StuckLimits::of(&definitions), Gauges::register());
    tokio::join!(keep_counting(&worker, &gauges), keep_watching(&worker, &limits, &gauges));
    Ok(())
}

/// What an index tells, each round.
async fn keep_watching(worker: &Worker, limits: &StuckLimits, gauges: &Gauges) {
    loop {
        match count::urgent(&worker.db, limits).await {
            Ok(urgent) => gauges.tell_urgent(&urgent),
            Err(error) => tracing::warn!(%error, "parked and stuck sagas were not counted; the last figures stay"),
        }
        if !worker.shutdown.pause(EVERY).await {
            return;
        }
    }
}

/// Everything, as fast as the rests allow.
async fn keep_counting(worker: &Worker, gauges: &Gauges) {
    loop {
        match count_all(worker).await {
            Ok(Some(census)) => gauges.tell(&census, worker.clock.now()),
            Ok(None) => return,
            Err(error) => tracing::warn!(%error, "sagas were not counted; the last figures stay"),
        }
        if !worker.shutdown.pause(EVERY).await {
            return;
        }
    }
}

/// One walk over all live sagas; none when shutdown came first.
async fn count_all(worker: &Worker) -> Result<Option<Census>, sqlx::Error> {
    let mut census = Census::default();
    let mut after = Some(Uuid::nil());
    while let Some(from) = after {
        let begun = Instant::now();
        after = census.add_part(&worker.db, from, PART).await?;
        if after.is_some() && !worker.shutdown.pause(begun.elapsed() * REST).await {
            return Ok(None);
        }
    }
    Ok(Some(census))
}
