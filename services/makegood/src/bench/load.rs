//! Many clients at once: closed loop (each begins again when it is done) or open loop (begun at a fixed rate).
//!
//! In the open loop an iteration's latency counts from when it *should* have begun. A client that is held up delays its next
//! iteration, and leaving that delay out (coordinated omission) would make a server that stalls look fast.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

use super::histogram::Histogram;

/// One client of a scenario.
pub(crate) trait Client {
    /// Does one iteration; returns how long its decisive call took.
    async fn iterate(&mut self) -> Result<Duration, Failure>;
}

/// An iteration that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What errors are counted by.
    pub(crate) kind: String,
    /// The server asked for a pause.
    pub(crate) pause: Duration,
}

impl Failure {
    pub(crate) fn of(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), pause: Duration::ZERO }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Not measured: connections, plans and caches are made in it.
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Iterations per second; none is the closed loop.
    pub(crate) rate: Option<f64>,
}

/// What was seen after the warm-up.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Iterations that ended within the time measured.
    pub(crate) completed: u64,
    pub(crate) call: Histogram,
    pub(crate) iteration: Histogram,
    pub(crate) errors: BTreeMap<String, u64>,
}

/// Runs the clients on this thread until the time is over, and waits for what is in flight then.
pub(crate) async fn run(clients: Vec<impl Client>, plan: Plan) -> Measured {
    let begin = Instant::now();
    let run = Run {
        plan,
        begin,
        measure_from: begin + plan.warm_up,
        end: begin + plan.warm_up + plan.duration,
        next: Cell::new(0),
        measured: RefCell::default(),
    };
    futures::future::join_all(clients.into_iter().map(|client| run.drive(client))).await;
    run.measured.into_inner()
}

struct Run {
    plan: Plan,
    begin: Instant,
    measure_from: Instant,
    end: Instant,
    /// Number of the next iteration in the open loop.
    next: Cell<u64>,
    measured: RefCell<Measured>,
}

impl Run {
    async fn drive(&self, mut client: impl Client) {
        loop {
            let scheduled = self.next_start();
            if scheduled >= self.end {
                return;
            }
            // Only for what is to come: the runtime's timer takes up to two milliseconds even when none are left.
            if scheduled > Instant::now() {
                sleep_until(scheduled).await;
            }
            let late = scheduled.elapsed();
            let outcome = client.iterate().await;
            self.count(scheduled, late, &outcome);
            if let Err(failure) = outcome {
                // A millisecond at least, which keeps a client whose every iteration fails at once from taking the thread.
                sleep(failure.pause).await;
            }
        }
    }

    fn next_start(&self) -> Instant {
        let Some(rate) = self.plan.rate else { return Instant::now() };
        let number = self.next.get();
        self.next.set(number + 1);
        self.begin + Duration::from_secs_f64(number as f64 / rate)
    }

    fn count(&self, scheduled: Instant, late: Duration, outcome: &Result<Duration, Failure>) {
        let now = Instant::now();
        let mut measured = self.measured.borrow_mut();
        match outcome {
            Ok(call) => {
                if (self.measure_from..self.end).contains(&now) {
                    measured.completed += 1;
                }
                if scheduled >= self.measure_from {
                    measured.call.record(late + *call);
                    measured.iteration.record(now - scheduled);
                }
            }
            Err(failure) => *measured.errors.entry(failure.kind.clone()).or_default() += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper(Duration);

    impl Client for Sleeper {
        async fn iterate(&mut self) -> Result<Duration, Failure> {
            sleep(self.0).await;
            Ok(self.0)
        }
    }

    fn plan(rate: Option<f64>) -> Plan {
        Plan { warm_up: Duration::from_millis(50), duration: Duration::from_millis(500), rate }
    }

    #[tokio::test]
    async fn the_closed_loop_does_what_its_clients_can() {
        let measured =
            run(vec![Sleeper(Duration::from_millis(10)), Sleeper(Duration::from_millis(10))], plan(None)).await;
        // Sleeps may be longer than asked for, and never shorter.
        assert!((1..=102).contains(&measured.completed), "{}", measured.completed);
        assert!(measured.call.percentiles().p50_ms >= 10.0);
    }

    /// The runtime's timer, whose shortest sleep is a millisecond, must not stand between two iterations.
    #[tokio::test]
    async fn the_closed_loop_begins_again_at_once() {
        struct Quick;
        impl Client for Quick {
            async fn iterate(&mut self) -> Result<Duration, Failure> {
                tokio::task::yield_now().await;
                Ok(Duration::ZERO)
            }
        }
        let measured = run(vec![Quick], plan(None)).await;
        assert!(measured.completed > 1_000, "{} in half a second", measured.completed);
    }

    #[tokio::test]
    async fn the_open_loop_counts_the_time_that_an_iteration_had_to_wait_for_its_turn() {
        let measured = run(vec![Sleeper(Duration::from_millis(20))], plan(Some(100.0))).await;
        assert!(measured.completed <= 26, "half of what was asked for: {}", measured.completed);
        // 55 iterations were due, and one client takes at least 1.1 s for them: the last ones began half a second late.
        for latency in [measured.iteration.percentiles(), measured.call.percentiles()] {
            assert!(latency.max_ms > 500.0, "{latency:?}");
        }
    }

    #[tokio::test]
    async fn failures_are_counted_by_kind_and_pause_their_client() {
        struct Refused;
        impl Client for Refused {
            async fn iterate(&mut self) -> Result<Duration, Failure> {
                Err(Failure { pause: Duration::from_millis(200), ..Failure::of("429") })
            }
        }
        let measured = run(vec![Refused], plan(None)).await;
        assert!((1..=3).contains(&measured.errors["429"]), "{:?}", measured.errors);
        assert_eq!(measured.completed, 0);
    }
}
