//! One audit at a time: whoever asks while one runs gets that one's result.
//!
//! An audit reads whole tables; ten operators who reload a page must not start ten.

use std::sync::Arc;

use makegood_chassis::shutdown::Shutdown;
use tokio::sync::{Mutex, watch};

use crate::{audit::Auditor, report::Report};

type Outcome = Result<Report, String>;
/// None until the audit has ended.
type Running = watch::Receiver<Option<Arc<Outcome>>>;

/// The running audit, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct SharedAudit {
    auditor: Auditor,
    running: Arc<Mutex<Option<Running>>>,
}

impl SharedAudit {
    pub(crate) fn new(auditor: Auditor) -> Self {
        Self { auditor, running: Arc::default() }
    }

    /// Joins the running audit or starts one. It runs on a task of its own, so it goes on for the others if the caller that
    /// started it hangs up.
    pub(crate) async fn run(&self, shutdown: &Shutdown) -> anyhow::Result<Report> {
        let mut result = self.join(shutdown).await;
        let outcome = result.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        match outcome.ok().flatten().as_deref() {
            Some(Ok(report)) => Ok(report.clone()),
            Some(Err(error)) => anyhow::bail!("auditing: {error}"),
            None => anyhow::bail!("the audit was cut off"),
        }
    }

    async fn join(&self, shutdown: &Shutdown) -> Running {
        let mut running = self.running.lock().await;
        if let Some(receiver) =
            running.as_ref().filter(|receiver| receiver.borrow().is_none() && receiver.has_changed().is_ok())
        {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let (auditor, token) = (self.auditor.clone(), shutdown.token.clone());
        // Dropping the sender without a result tells those who wait that there will be none.
        shutdown.tasks.spawn(async move {
            if let Some(outcome) = token.run_until_cancelled(auditor.audit()).await {
                sender.send_replace(Some(Arc::new(outcome.map_err(|error| format!("{error:#}")))));
            }
        });
        *running = Some(receiver.clone());
        receiver
    }
}
