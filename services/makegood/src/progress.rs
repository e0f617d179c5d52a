//! What a person sees while something takes long: nothing within the first second, then what it is and for how long.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, interval_at};

/// What is over sooner is not worth a line.
const SILENT_FOR: Duration = Duration::from_secs(1);
const REPEAT_EVERY: Duration = Duration::from_secs(5);

/// One line for the person at the terminal; standard output stays free for results.
pub(crate) fn say(line: &str) {
    eprintln!("makegood: {line}");
}

/// For the servers crate.
pub(crate) fn notify() -> makegood_servers::Notify {
    std::sync::Arc::new(say)
}

/// Does the work, saying after a second what is done, then how long it has taken so far, and in the end in all.
pub(crate) async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let start = Instant::now();
    let mut ticks = interval_at(start + SILENT_FOR, REPEAT_EVERY);
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = ticks.tick() => say(&format!("{what} … {} s", start.elapsed().as_secs())),
        }
    };
    if result.is_ok() && start.elapsed() > SILENT_FOR {
        say(&format!("{what}: done in {:.1} s", start.elapsed().as_secs_f64()));
    }
    result
}
