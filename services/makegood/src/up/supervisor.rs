//! Looks after the children: what dies is started again, until all are stopped in order.

use std::time::Duration;

use anyhow::Result;
use makegood_servers::process::{Process, Signal};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{interrupts, interrupts::Interrupts, progress::say};

/// A process that lived this long did not die of its start.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// Pause before a process that died of its start is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// The children, in the order in which they were started.
#[derive(Default)]
pub(crate) struct Supervisor {
    processes: Vec<Process>,
}

impl Supervisor {
    pub(crate) fn add(&mut self, process: Process) {
        self.processes.push(process);
    }

    /// Restarts what dies, until the first interrupt.
    pub(crate) async fn watch(&mut self, interrupts: &mut Interrupts) {
        let stop = CancellationToken::new();
        let watched = futures::future::join_all(self.processes.iter_mut().map(|process| keep_running(process, &stop)));
        tokio::pin!(watched);
        tokio::select! {
            _ = &mut watched => {}
            () = interrupts.next() => stop.cancel(),
        }
    }

    /// Stops them in reverse order, each once those that need it are gone. Another interrupt ends everything at once.
    pub(crate) async fn stop(&mut self, interrupts: &mut Interrupts) -> Result<()> {
        let numbers: Vec<u32> = self.processes.iter().filter_map(Process::pid).collect();
        let stopping = async {
            let mut result = Ok(());
            while let Some(mut process) = self.processes.pop() {
                result = result.and(process.stop().await);
            }
            result
        };
        tokio::select! {
            result = stopping => result,
            () = interrupts.next() => {
                say("stopping at once; PostgreSQL recovers at the next start");
                // PostgreSQL takes this signal as "immediately"; the others end by it too.
                numbers.into_iter().for_each(|pid| makegood_servers::pid_file::signal(pid, Signal::QUIT));
                std::process::exit(interrupts::EXIT_CODE);
            }
        }
    }
}

async fn keep_running(process: &mut Process, stop: &CancellationToken) {
    while stop.run_until_cancelled(live_once(process)).await.is_some() {}
}

/// Until it has died and runs again.
async fn live_once(process: &mut Process) {
    let start = Instant::now();
    match process.exited().await {
        Ok(status) => {
            let (name, log) = (process.name(), process.log().display());
            say(&format!("{name} ended by itself ({status}; {log} says why); starting it again"));
        }
        Err(error) => say(&format!("{error:#}; starting it again")),
    }
    if start.elapsed() < HEALTHY_AFTER {
        sleep(PAUSE).await;
    }
    let start = Instant::now();
    match process.restart().await {
        Ok(()) => say(&format!("{} runs again after {:.1} s", process.name(), start.elapsed().as_secs_f64())),
        Err(error) => say(&format!("{error:#}")),
    }
}
