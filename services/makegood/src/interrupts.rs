//! The signals that ask a process to end: Ctrl-C, SIGTERM from a platform, SIGHUP from a terminal that is closed.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell reports of a process that Ctrl-C ended.
pub(crate) const EXIT_CODE: i32 = 130;

/// Registered once, so that no signal between two waits is lost.
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    pub(crate) fn register() -> Result<Self> {
        let register = |kind| signal(kind).context("registering for a signal");
        Ok(Self {
            interrupt: register(SignalKind::interrupt())?,
            terminate: register(SignalKind::terminate())?,
            hang_up: register(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
