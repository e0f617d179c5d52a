//! One child process: started until it is ready, watched, started again, stopped in order.
//!
//! Children are in process groups of their own, so that Ctrl-C in a terminal reaches us and not them, and
//! the order in which things end is ours. What outlives us is stopped by the next start ([`crate::leftover`]).

use std::{
    ffi::OsString,
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
pub use rustix::process::Signal;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::{Notify, leftover::Identity, pid_file, unprivileged::User};

/// Short enough that nobody waits for the poll, long enough to cost nothing.
const POLL: Duration = Duration::from_millis(20);
/// Between attempts to start a server whose predecessor's remains are in its way.
const RESTART_PAUSE: Duration = Duration::from_millis(200);
/// How much of a log is shown when a start fails.
const LOG_TAIL_LINES: usize = 12;
/// A log longer than this is begun anew at the next start.
const MAX_LOG_BYTES: u64 = 32 << 20;

/// How a process is run.
pub struct Launch {
    pub identity: Identity,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(String, String)>,
    /// Another user than ours, where we are root.
    pub run_as: Option<User>,
    /// Takes standard output and error.
    pub log: PathBuf,
    /// How long it may take to become ready.
    pub ready_within: Duration,
    /// Whether the process of this number serves. Called often while it starts, so it must answer at once.
    pub is_ready: Box<dyn Fn(u32) -> bool + Send + Sync>,
}

/// A process and how it is run again.
pub struct Process {
    launch: Launch,
    child: Option<Child>,
    notify: Notify,
}

impl Process {
    /// Starts it and waits until it is ready. What an earlier run left running is stopped first.
    pub async fn start(launch: Launch, notify: Notify) -> Result<Self> {
        let mut process = Self { launch, child: None, notify };
        process.launch.identity.stop_leftover(&process.notify).await?;
        process.spawn_and_wait(Instant::now() + process.launch.ready_within).await?;
        Ok(process)
    }

    /// Starts it again, as often as it takes: a PostgreSQL whose predecessor was killed refuses
    /// to start until that one's last worker has noticed.
    pub async fn restart(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.launch.ready_within;
        loop {
            match self.spawn_and_wait(deadline).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() + RESTART_PAUSE >= deadline => return Err(error),
                Err(_) => sleep(RESTART_PAUSE).await,
            }
        }
    }

    /// Starts it again with further variables, this once, and waits for nothing: it may be meant to end before it is ready.
    pub fn restart_with(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        self.spawn(variables).map(drop)
    }

    pub fn name(&self) -> &str {
        &self.launch.identity.name
    }

    pub fn log(&self) -> &Path {
        &self.launch.log
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Waits for its end. May be dropped and called again.
    pub async fn exited(&mut self) -> Result<ExitStatus> {
        let Some(child) = &mut self.child else {
            bail!("{} does not run", self.launch.identity.name);
        };
        let status = child.wait().await.with_context(|| format!("waiting for {}", self.launch.identity.name))?;
        self.ended();
        Ok(status)
    }

    /// Stops it in order, or kills it when that takes too long.
    pub async fn stop(&mut self) -> Result<()> {
        self.end_by(self.launch.identity.stop_signal).await
    }

    /// SIGKILL, as a crash would have it.
    pub async fn kill(&mut self) -> Result<()> {
        self.end_by(Signal::KILL).await
    }

    /// Sends a signal and waits for nothing.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            pid_file::signal(pid, signal);
        }
    }

    async fn end_by(&mut self, signal: Signal) -> Result<()> {
        if self.child.is_none() {
            return Ok(());
        }
        self.signal(signal);
        let within = self.launch.identity.stop_within;
        if tokio::time::timeout(within, self.exited()).await.is_ok_and(|ended| ended.is_ok()) {
            return Ok(());
        }
        (self.notify)(&format!(
            "{} did not stop within {} s and is killed",
            self.launch.identity.name,
            within.as_secs()
        ));
        self.signal(Signal::KILL);
        self.exited().await.map(drop)
    }

    fn ended(&mut self) {
        self.child = None;
        if let Err(error) = fs::remove_file(&self.launch.identity.pid_file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            (self.notify)(&format!("removing {}: {error}", self.launch.identity.pid_file.display()));
        }
    }

    async fn spawn_and_wait(&mut self, deadline: Instant) -> Result<()> {
        let log_start = self.spawn(&[])?;
        loop {
            if self.pid().is_some_and(|pid| (self.launch.is_ready)(pid)) {
                return Ok(());
            }
            if let Some(status) = self.exit_status()? {
                self.ended();
                bail!(
                    "{} ended with {status} while it started; its log says:\n{}",
                    self.launch.identity.name,
                    self.log_since(log_start)
                );
            }
            if Instant::now() >= deadline {
                self.stop().await?;
                bail!(
                    "{} was not ready in time; its log says:\n{}",
                    self.launch.identity.name,
                    self.log_since(log_start)
                );
            }
            sleep(POLL).await;
        }
    }

    fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => child.try_wait().with_context(|| format!("looking after {}", self.launch.identity.name)),
            None => bail!("{} does not run", self.launch.identity.name),
        }
    }

    /// Returns where in the log this run begins.
    fn spawn(&mut self, variables: &[(&str, &str)]) -> Result<u64> {
        let launch = &self.launch;
        let log_length = fs::metadata(&launch.log).map_or(0, |found| found.len());
        let begin_anew = log_length > MAX_LOG_BYTES;
        let log = fs::OpenOptions::new()
            .create(true)
            .append(!begin_anew)
            .write(true)
            .truncate(begin_anew)
            .open(&launch.log)
            .with_context(|| format!("opening {}", launch.log.display()))?;
        let mut command = Command::new(&launch.program);
        command.args(&launch.args).envs(launch.env.iter().cloned()).envs(variables.iter().copied()).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some(user) = &launch.run_as {
            command.uid(user.uid).gid(user.gid).current_dir("/");
        }
        let child = command.spawn().with_context(|| format!("starting {}", launch.program.display()))?;
        let pid = child.id().context("a process that was just started has no number")?;
        fs::write(&launch.identity.pid_file, pid.to_string())
            .with_context(|| format!("writing {}", launch.identity.pid_file.display()))?;
        self.child = Some(child);
        Ok(if begin_anew { 0 } else { log_length })
    }

    fn log_since(&self, start: u64) -> String {
        let mut text = Vec::new();
        let read = fs::File::open(&self.launch.log)
            .and_then(|mut file| file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut text)));
        if let Err(error) = read {
            return format!("({}: {error})", self.launch.log.display());
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Process {
    /// An error on our way, or a test's panic, must not leave a server behind.
    fn drop(&mut self) {
        self.signal(self.launch.identity.stop_signal);
    }
}
