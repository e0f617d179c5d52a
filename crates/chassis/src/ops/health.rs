//! What the probes are told: heartbeats of loops, and the last results of checks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::shutdown::Shutdown;

/// A loop that has not come round for this long is stuck: idle rounds take seconds, and statements end after 30 s.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The health of a process; clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    /// By a number of their own, because two loops may have one name.
    beats: Mutex<BTreeMap<u64, (String, Arc<AtomicU64>)>>,
    beats_made: AtomicU64,
    checks: Mutex<BTreeMap<&'static str, Check>>,
    shutdown: OnceLock<Shutdown>,
}

impl Default for Health {
    fn default() -> Self {
        let shared = Shared {
            started: Instant::now(),
            beats: Mutex::default(),
            beats_made: AtomicU64::new(0),
            checks: Mutex::default(),
            shutdown: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }
}

static OF_PROCESS: LazyLock<Health> = LazyLock::new(Health::default);

impl Health {
    /// The one that the probes ask, so that a loop deep inside a role can have a heartbeat.
    pub fn of_process() -> Self {
        OF_PROCESS.clone()
    }

    /// From the beginning of this shutdown on, the process is not ready. Only the first call counts.
    pub fn drain_with(&self, shutdown: Shutdown) {
        self.shared.shutdown.get_or_init(|| shutdown);
    }

    /// A heartbeat for a loop, which must beat at least every minute, also when idle, until it is dropped.
    pub fn heartbeat(&self, name: impl Into<String>) -> Beat {
        let number = self.shared.beats_made.fetch_add(1, Ordering::Relaxed);
        let at_ms = Arc::new(AtomicU64::new(self.now_ms()));
        lock(&self.shared.beats).insert(number, (name.into(), Arc::clone(&at_ms)));
        Beat { health: self.clone(), number, at_ms }
    }

    /// A check that readiness waits for; it fails until it is first set.
    pub fn check(&self, name: &'static str) -> Check {
        lock(&self.shared.checks).entry(name).or_default().clone()
    }

    /// A check that readiness waits for once. From then on it is only told: what is away then can be done without for a while.
    pub fn check_once(&self, name: &'static str) -> Check {
        let check = Check { is_once: true, ..Check::default() };
        lock(&self.shared.checks).entry(name).or_insert(check).clone()
    }

    pub(super) fn stuck_loops(&self) -> Vec<String> {
        self.stuck_loops_at(self.now_ms())
    }

    fn stuck_loops_at(&self, now_ms: u64) -> Vec<String> {
        let stuck_after_ms = STUCK_AFTER.as_millis() as u64;
        let is_stuck = |at_ms: &AtomicU64| now_ms.saturating_sub(at_ms.load(Ordering::Relaxed)) > stuck_after_ms;
        lock(&self.shared.beats).values().filter(|(_, at_ms)| is_stuck(at_ms)).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn checks(&self) -> BTreeMap<&'static str, bool> {
        lock(&self.shared.checks).iter().map(|(name, check)| (*name, check.is_ok())).collect()
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.is_draining() && lock(&self.shared.checks).values().all(Check::lets_serve)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shared.shutdown.get().is_some_and(Shutdown::has_begun)
    }

    fn now_ms(&self) -> u64 {
        self.shared.started.elapsed().as_millis() as u64
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One loop's heartbeat.
#[derive(Debug)]
pub struct Beat {
    health: Health,
    number: u64,
    at_ms: Arc<AtomicU64>,
}

impl Beat {
    pub fn beat(&self) {
        self.at_ms.store(self.health.now_ms(), Ordering::Relaxed);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        lock(&self.health.shared.beats).remove(&self.number);
    }
}

/// The last result of one check.
#[derive(Debug, Clone, Default)]
pub struct Check {
    is_ok: Arc<AtomicBool>,
    was_ok: Arc<AtomicBool>,
    is_once: bool,
}

impl Check {
    pub fn set(&self, ok: bool) {
        self.is_ok.store(ok, Ordering::Relaxed);
        self.was_ok.fetch_or(ok, Ordering::Relaxed);
    }

    fn is_ok(&self) -> bool {
        self.is_ok.load(Ordering::Relaxed)
    }

    fn lets_serve(&self) -> bool {
        self.is_ok() || self.is_once && self.was_ok.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_beat_is_stuck_until_it_beats_or_ends() {
        let health = Health::default();
        let beat = health.heartbeat("inventory.commands");
        let later_ms = health.now_ms() + 61_000;
        assert!(health.stuck_loops().is_empty());
        assert_eq!(health.stuck_loops_at(later_ms), ["inventory.commands"]);
        beat.beat();
        assert!(health.stuck_loops().is_empty());
        drop(beat);
        assert!(health.stuck_loops_at(later_ms).is_empty());
    }
}
