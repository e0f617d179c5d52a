//! Waiting for what must come true, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Often enough that no test is slowed, seldom enough that the asking disturbs nothing.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Asks until there is an answer; panics, naming what was waited for, when there is none in time.
pub async fn until<T>(what: &str, within: Duration, ask: impl AsyncFnMut() -> Option<T>) -> T {
    match in_time(within, ask).await {
        Some(answer) => answer,
        None => panic!("waited {} s in vain: {what}", within.as_secs()),
    }
}

/// Asks until there is an answer; none when there is none in time.
pub(crate) async fn in_time<T>(within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(ASK_EVERY).await;
    }
}
