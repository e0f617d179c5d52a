//! A role's hot loop has a thread and a current-thread runtime of its own: waking other threads is what costs latency.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use anyhow::{Context as _, anyhow};
use tokio::{runtime, task::LocalSet};

use crate::shutdown::Shutdown;

/// Runs `work` on a new named thread in a current-thread tokio runtime with a `LocalSet`; the handle ends with its result.
///
/// A panic is an error like any other. A role that fails begins the shutdown of all: half a process helps nobody,
/// and the platform starts a whole one.
pub fn spawn<F, Fut>(name: &str, shutdown: Shutdown, work: F) -> thread::JoinHandle<anyhow::Result<()>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + 'static,
{
    let role = name.to_owned();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(|| run_to_end(work)))
            .unwrap_or_else(|panicked| Err(anyhow!("panicked: {}", panic_message(&*panicked))))
            .with_context(|| format!("running the role {role}"));
        if let Err(error) = &result {
            tracing::error!(role, error = format!("{error:#}"), "a role failed; shutting down");
            shutdown.begin();
        }
        result
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).expect("the system gives a thread to every role")
}

fn run_to_end<F, Fut>(work: F) -> anyhow::Result<()>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = anyhow::Result<()>> + 'static,
{
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    LocalSet::new().block_on(&runtime, async { work().await })
}

/// What a panic said, if it said it in words.
pub(crate) fn panic_message(panicked: &(dyn Any + Send)) -> &str {
    let literal = panicked.downcast_ref::<&str>().copied();
    literal.or_else(|| panicked.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_runs_local_tasks_and_its_result_comes_back() {
        let role = spawn("test-role", Shutdown::default(), || async {
            let local = std::rc::Rc::new(7);
            let task = tokio::task::spawn_local(async move { *local });
            anyhow::ensure!(task.await? == 7);
            Ok(())
        });
        assert!(role.join().expect("no panic").is_ok());
    }

    #[test]
    fn a_panic_is_an_error_and_begins_the_shutdown() {
        let shutdown = Shutdown::default();
        let role = spawn("test-role", shutdown.clone(), || async { panic!("a defect") });
        let error = role.join().expect("caught").expect_err("panicked");
        assert!(format!("{error:#}").contains("a defect") && shutdown.has_begun());
    }
}
