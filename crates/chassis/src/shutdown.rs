//! An orderly end: one token that everything watches.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind};
pub use tokio_util::sync::CancellationToken;
pub use tokio_util::task::TaskTracker;

/// Cloned into every loop: `token` says stop, `tasks` is waited for until the grace period is over.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    pub token: CancellationToken,
    pub tasks: TaskTracker,
}

impl Shutdown {
    /// Begins at SIGTERM (the platform) or SIGINT (Ctrl-C). Call it within a runtime that lives as long as the process.
    pub fn on_signals() -> anyhow::Result<Self> {
        let shutdown = Self::default();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let begun = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => tracing::info!("interrupted: finishing what runs"),
                _ = terminate.recv() => tracing::info!("asked to terminate: finishing what runs"),
                () = begun.token.cancelled() => {}
            }
            begun.begin();
        });
        Ok(shutdown)
    }

    /// Tells everyone to finish. Calling it again does nothing.
    pub fn begin(&self) {
        self.token.cancel();
        self.tasks.close();
    }

    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Sleeps; false, at once, when it is time to stop. `while shutdown.pause(PERIOD).await { … }` is a periodic loop.
    pub async fn pause(&self, duration: Duration) -> bool {
        self.token.run_until_cancelled(tokio::time::sleep(duration)).await.is_some()
    }

    /// Waits for the tracked tasks, for `grace` at most; false when some were still running then.
    pub async fn wait(&self, grace: Duration) -> bool {
        self.tasks.close();
        let finished = tokio::time::timeout(grace, self.tasks.wait()).await.is_ok();
        if !finished {
            tracing::warn!(tasks = self.tasks.len(), "the grace period is over with tasks still running");
        }
        finished
    }
}

fn signal(kind: SignalKind) -> anyhow::Result<Signal> {
    tokio::signal::unix::signal(kind).with_context(|| format!("listening for signal {}", kind.as_raw_value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pause_ends_at_once_when_shutdown_begins() {
        let shutdown = Shutdown::default();
        assert!(shutdown.pause(Duration::from_millis(1)).await);
        shutdown.begin();
        assert!(!shutdown.pause(Duration::from_secs(3600)).await);
        assert!(shutdown.wait(Duration::from_secs(1)).await);
    }
}
