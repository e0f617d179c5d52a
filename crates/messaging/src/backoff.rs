//! Waiting longer each time, with jitter: for loops that must outlive an outage of PostgreSQL or NATS.

use std::time::Duration;

/// Delays that double from `initial` to `max`, each between half and the whole (equal jitter).
#[derive(Debug)]
pub struct Backoff {
    initial: Duration,
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, next: initial, max }
    }

    pub fn next_delay(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.max);
        let half_nanos = u64::try_from(whole.as_nanos() / 2).unwrap_or(u64::MAX).max(1);
        // The random bits of a UUID: the jitter needs no quality, and this no further crate.
        let jitter = uuid::Uuid::now_v7().as_u128() as u64 % half_nanos;
        Duration::from_nanos(half_nanos + jitter)
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.next = self.initial;
    }
}
