//! How many released shipments the carrier has not taken, as a metric: their orders are completed, so no saga waits for them and
//! nobody else would notice.

use std::{sync::LazyLock, time::Duration};

use makegood_chassis::telemetry::metrics;
use makegood_messaging::worker::Worker;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use sqlx::PgPool;

/// People act on it within the hour, and the queue is read for it: every parcel that has not shipped yet.
const EVERY: Duration = Duration::from_secs(60);
/// More than anybody needs to know exactly.
const COUNTED_AT_MOST: i64 = 10_000;

/// The condition for a parcel that the carrier will not have.
macro_rules! is_refused {
    () => {
        "carrier_refusal is not null and state = 'released'"
    };
}
pub(crate) use is_refused;

/// The condition for a parcel that the carrier says nothing of. One that is away for less than 15 minutes has got everything before anybody
/// could do something about it.
macro_rules! is_unanswered {
    () => {
        "handover_due_at is not null and offered_at < now() - interval '15 minutes' and handed_over_at is null \
         and carrier_refusal is null"
    };
}
pub(crate) use is_unanswered;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    /// `refused` or `unanswered`.
    because: &'static str,
}

static UNTAKEN: LazyLock<Family<Labels, Gauge>> = LazyLock::new(|| {
    let gauges = Family::default();
    metrics().register(
        "makegood_shipments_untaken",
        "Released shipments that the carrier refused, or has not answered for 15 minutes (10,000 stands for more)",
        Family::clone(&gauges),
    );
    gauges
});

/// Counts until shutdown. What the database would not tell is asked again.
pub(crate) async fn keep_counting(worker: Worker) -> anyhow::Result<()> {
    loop {
        match count(&worker.db).await {
            Ok((refused, unanswered)) => {
                for (because, count) in [("refused", refused), ("unanswered", unanswered)] {
                    UNTAKEN.get_or_create(&Labels { because }).set(count);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "shipments that the carrier has not taken were not counted; the last figure stays")
            }
        }
        if !worker.shutdown.pause(EVERY).await {
            return Ok(());
        }
    }
}

/// Those that the carrier refused, and those that it does not answer for.
pub(crate) async fn count(db: &PgPool) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(concat!(
        "select (select count(*) from (select from shipment where ",
        is_refused!(),
        " limit $1) as refused), (select count(*) from (select from shipment where ",
        is_unanswered!(),
        " limit $1) as unanswered)"
    ))
    .bind(COUNTED_AT_MOST)
    .fetch_one(db)
    .await
}
