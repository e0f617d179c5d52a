//! How bad the day is: every rate is drawn anew for each seed, so that some days are quiet and some have everything.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use time::Duration;

/// All rates of one run. The highest ones are those of TigerBeetle's simulator, where it has such a fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// A message is lost, though whoever sent it was told that it was kept.
    pub(super) loss: f64,
    /// A message comes twice.
    pub(super) repeat: f64,
    /// A message takes seconds, so that others overtake it.
    pub(super) delay: f64,
    /// A handler takes longer than the broker waits for its ack.
    pub(super) slowness: f64,
    /// A request to the provider, or its answer, is lost.
    pub(super) silence: f64,
    /// Something dies, stands still, or loses all messages: so often on average.
    pub(super) between_accidents: Duration,
    /// An operator does something to some saga: so often on average.
    pub(super) between_operators: Duration,
}

/// The highest rates.
const LOSS: f64 = 0.3;
const REPEAT: f64 = 0.5;
const DELAY: f64 = 0.2;
const SLOWNESS: f64 = 0.05;
const SILENCE: f64 = 0.2;

impl Faults {
    pub(super) fn drawn(random: &mut ChaCha8Rng) -> Self {
        // Half of the days do without a fault, so that others are seen alone.
        let mut up_to = |highest: f64| if random.random_bool(0.5) { random.random_range(0.0..highest) } else { 0.0 };
        let (loss, repeat, delay) = (up_to(LOSS), up_to(REPEAT), up_to(DELAY));
        let (slowness, silence) = (up_to(SLOWNESS), up_to(SILENCE));
        Self {
            loss,
            repeat,
            delay,
            slowness,
            silence,
            between_accidents: Duration::seconds(random.random_range(4..60)),
            between_operators: Duration::seconds(random.random_range(3..40)),
        }
    }

    /// A day on which nothing goes wrong.
    pub(super) const fn none() -> Self {
        Self {
            loss: 0.0,
            repeat: 0.0,
            delay: 0.0,
            slowness: 0.0,
            silence: 0.0,
            between_accidents: Duration::hours(1),
            between_operators: Duration::hours(1),
        }
    }
}
