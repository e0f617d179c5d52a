//! A process of an earlier run whose starter was killed: found by its pid file, and stopped.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::{
    Notify,
    pid_file::{self, Holder},
};

const POLL: Duration = Duration::from_millis(20);

/// What a process is found and stopped by.
#[derive(Debug, Clone)]
pub struct Identity {
    /// As people call it.
    pub name: String,
    pub pid_file: PathBuf,
    /// Text that only this process has on its command line, such as its data folder.
    pub mark: String,
    /// Asks it to stop in order.
    pub stop_signal: Signal,
    /// How long an orderly stop may take before it is killed.
    pub stop_within: Duration,
}

impl Identity {
    /// Stops what an earlier run left running, and forgets a pid file that speaks of nobody.
    pub async fn stop_leftover(&self, notify: &Notify) -> Result<()> {
        match pid_file::holder(&self.pid_file, &self.mark) {
            Holder::Nobody => return Ok(()),
            Holder::Stale => notify(&format!("{} names a process that is gone; ignored", self.pid_file.display())),
            Holder::Running(pid) => {
                notify(&format!("{} of an earlier run still runs as process {pid}; stopping it", self.name));
                self.stop(pid).await?;
            }
        }
        match fs::remove_file(&self.pid_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.pid_file.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn stop(&self, pid: u32) -> Result<()> {
        for signal in [self.stop_signal, Signal::KILL] {
            pid_file::signal(pid, signal);
            let deadline = Instant::now() + self.stop_within;
            while pid_file::is_alive(pid) {
                if Instant::now() >= deadline {
                    break;
                }
                sleep(POLL).await;
            }
            if !pid_file::is_alive(pid) {
                return Ok(());
            }
        }
        bail!("process {pid} ({} of an earlier run) does not end, even when killed; end it by hand", self.name)
    }
}
