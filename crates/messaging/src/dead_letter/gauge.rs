//! How many dead letters wait for an operator, as a metric.

use std::{sync::LazyLock, time::Duration};

use makegood_chassis::{shutdown::Shutdown, telemetry::metrics};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use sqlx::PgPool;

/// As often as metrics are usually read.
const EVERY: Duration = Duration::from_secs(15);
/// More than anybody needs to know exactly; counting on would cost more with each letter.
const COUNTED_AT_MOST: i64 = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    service: String,
}

static DEAD_LETTERS: LazyLock<Family<Labels, Gauge>> = LazyLock::new(|| {
    let gauges = Family::default();
    metrics().register(
        "makegood_dead_letters",
        "Messages that could not be handled and wait for an operator (10,000 stands for more)",
        Family::clone(&gauges),
    );
    gauges
});

/// Counts a service's dead letters until shutdown. What the database would not tell is asked again.
pub async fn keep_counting(db: PgPool, service: &str, shutdown: Shutdown) {
    let labels = Labels { service: service.to_owned() };
    loop {
        match count(&db).await {
            Ok(letters) => {
                DEAD_LETTERS.get_or_create(&labels).set(letters);
            }
            Err(error) => tracing::warn!(%error, service, "dead letters were not counted; the last figure stays"),
        }
        if !shutdown.pause(EVERY).await {
            return;
        }
    }
}

async fn count(db: &PgPool) -> Result<i64, sqlx::Error> {
    let sql = "select count(*) from (select from dead_letter where resolved_at is null limit $1) as waiting";
    sqlx::query_scalar(sql).bind(COUNTED_AT_MOST).fetch_one(db).await
}
