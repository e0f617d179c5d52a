//! The database's clock: the only one by which deadlines are made and compared.
//!
//! This is also the only file that may ask the machine for its time (clippy.toml bans it elsewhere): clocks of
//! machines differ by minutes, and a hold that expires by one clock and is captured by another is lost money.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sqlx::PgPool;
use time::OffsetDateTime;

use crate::shutdown::Shutdown;

/// Oscillators drift by some 50 µs a second at worst: half a millisecond within this time.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// A measurement may be wrong by half of what it took. One that took longer, because the database or the network stood still, is worth less
/// than the one before: deadlines of seconds are compared by it.
const MAX_ROUND_TRIP: Duration = Duration::from_millis(250);
/// The first one has none before it; it is tried so often, and the last one is taken as it is.
const MAX_FIRST_TRIES: usize = 5;

/// Reads the database's time without a round trip, by an offset measured every few seconds.
#[derive(Debug, Clone)]
pub struct DbClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Steady time counts from here, so that a change of the machine's own clock changes nothing.
    started: Instant,
    /// The database's time, in nanoseconds after 1970, when `started` was now.
    origin_ns: AtomicI64,
}

impl DbClock {
    /// Measures once; call [`DbClock::keep`] on a task to go on measuring.
    pub async fn measure(db: &PgPool) -> anyhow::Result<Self> {
        let clock = Self { shared: Arc::new(Shared { started: Instant::now(), origin_ns: AtomicI64::new(0) }) };
        for tries_left in (0..MAX_FIRST_TRIES).rev() {
            let measured = clock.look(db).await?;
            if tries_left == 0 || measured.took <= MAX_ROUND_TRIP {
                clock.shared.origin_ns.store(measured.origin_ns, Ordering::Relaxed);
                break;
            }
        }
        Ok(clock)
    }

    pub fn now(&self) -> OffsetDateTime {
        let now_ns = i128::from(self.shared.origin_ns.load(Ordering::Relaxed))
            + self.shared.started.elapsed().as_nanos() as i128;
        OffsetDateTime::from_unix_timestamp_nanos(now_ns).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Measures every ten seconds until shutdown. A failed measurement keeps the last offset.
    pub async fn keep(self, db: PgPool, shutdown: Shutdown) {
        while shutdown.pause(MEASURE_EVERY).await {
            if let Err(error) = self.measure_again(&db).await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the database's clock was not measured; the last offset stays"
                );
            }
        }
    }

    async fn measure_again(&self, db: &PgPool) -> anyhow::Result<()> {
        let Measured { origin_ns, took } = self.look(db).await?;
        anyhow::ensure!(took <= MAX_ROUND_TRIP, "the database took {took:?} to tell its time");
        self.shared.origin_ns.store(origin_ns, Ordering::Relaxed);
        Ok(())
    }

    /// The database looked at its clock about halfway between asking and hearing.
    async fn look(&self, db: &PgPool) -> anyhow::Result<Measured> {
        let mut connection = db.acquire().await.context("acquiring a connection to measure the clock")?;
        let asked = self.shared.started.elapsed();
        let told: OffsetDateTime = sqlx::query_scalar("select clock_timestamp()")
            .fetch_one(&mut *connection)
            .await
            .context("measuring the clock")?;
        let heard = self.shared.started.elapsed();
        let halfway = (asked + heard) / 2;
        let origin_ns = i64::try_from(told.unix_timestamp_nanos() - halfway.as_nanos() as i128)
            .context("the database's clock is out of range")?;
        Ok(Measured { origin_ns, took: heard.saturating_sub(asked) })
    }
}

/// As [`Shared::origin_ns`], and how long it took to be told.
struct Measured {
    origin_ns: i64,
    took: Duration,
}

/// The machine's own time: for labels that people read and nothing is decided by.
#[expect(clippy::disallowed_methods, reason = "the one place that may read the machine's clock")]
pub fn machine_time() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
