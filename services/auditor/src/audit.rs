//! One audit: every service's own promises, then those between services.

#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::TryStreamExt as _;
use makegood_chassis::{config::Config, database::auditor_url, invariant::Invariant};
use serde_json::Value;
use sqlx::Row as _;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    ServicePromises,
    checks::{CROSS_CHECKS, CrossCheck},
    databases::Databases,
    merge_join::merge_join,
    report::{CheckResult, Report, Violation},
    suspects::Suspects,
};

/// What looks wrong is looked at again after this long: far longer than a message between two services takes.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Knows where the books are and what they promise.
#[derive(Debug, Clone)]
pub struct Auditor {
    databases: Databases,
    promises: Vec<ServicePromises>,
}

impl Auditor {
    /// The services' own promises come from the caller, since the auditor depends on no service.
    pub fn new(config: Config, promises: Vec<ServicePromises>) -> Self {
        Self { databases: Databases::new(config, auditor_url), promises }
    }

    /// Runs every check. A check that cannot be run is a result that says why; only an unreachable clock is an error.
    pub async fn audit(&self) -> anyhow::Result<Report> {
        let checked_at = self.now().await?;
        let mut first = Vec::new();
        for check in self.checks() {
            let found = self.run(&check, Suspects::default()).await;
            first.push((check, found));
        }
        if first.iter().any(|(_, found)| found.as_ref().is_ok_and(|found| !found.is_empty())) {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
        let mut checks = Vec::new();
        for (check, found) in first {
            let confirmed = match found {
                Ok(found) if !found.is_empty() => self.run(&check, Suspects::again(found)).await,
                clean_or_failed => clean_or_failed,
            };
            checks.push(result(&check, confirmed));
        }
        let ok = checks.iter().all(|check| check.ok);
        Ok(Report { ok, checked_at, checks })
    }

    /// Sagas that have not ended and wait for nobody: neither parked nor paused. Buyers who have not confirmed yet are waited for.
    pub async fn live_sagas(&self) -> anyhow::Result<i64> {
        let mut connection = self.databases.connect("orchestrator").await?;
        Ok(sqlx::query_scalar(
            r"select count(*) from saga where state in ('running', 'waiting', 'compensating', 'finishing')",
        )
        .fetch_one(&mut connection)
        .await?)
    }

    async fn now(&self) -> anyhow::Result<OffsetDateTime> {
        let mut connection = self.databases.connect("order").await?;
        Ok(sqlx::query_scalar("select now()").fetch_one(&mut connection).await?)
    }

    fn checks(&self) -> impl Iterator<Item = Check> {
        let own = self
            .promises
            .iter()
            .flat_map(|promises| promises.invariants.iter().map(|invariant| Check::Own(promises.service, invariant)));
        own.chain(CROSS_CHECKS.iter().map(Check::Cross))
    }

    async fn run(&self, check: &Check, mut found: Suspects) -> anyhow::Result<Suspects> {
        match check {
            Check::Own(service, invariant) => self.run_own(service, invariant, &mut found).await?,
            Check::Cross(check) => self.run_cross(check, &mut found).await?,
        }
        Ok(found)
    }

    async fn run_own(&self, service: &str, invariant: &Invariant, found: &mut Suspects) -> anyhow::Result<()> {
        let mut connection = self.databases.connect(service).await?;
        let mut rows = sqlx::query(invariant.sql).fetch(&mut connection);
        while let Some(row) = rows.try_next().await? {
            let detail: Value = row.try_get(1)?;
            found.add(Violation { id: row.try_get(0)?, detail });
        }
        Ok(())
    }

    async fn run_cross(&self, check: &CrossCheck, found: &mut Suspects) -> anyhow::Result<()> {
        let mut first = self.databases.connect(check.first.service).await?;
        let mut second = self.databases.connect(check.second.service).await?;
        let kept_since: Option<Uuid> = match check.second_kept_since {
            Some(sql) => Some(sqlx::query_scalar(sql).fetch_one(&mut second).await?),
            None => None,
        };
        merge_join(check.first.rows(&mut first), check.second.rows(&mut second), |id, first, second| {
            if second.is_none() && kept_since.is_some_and(|kept_since| id < kept_since) {
                return;
            }
            if let Some(detail) = (check.judge)(first.as_ref(), second.as_ref()) {
                found.add(Violation { id: id.to_string(), detail });
            }
        })
        .await
    }
}

/// What is told of a check after its second run.
fn result(check: &Check, confirmed: anyhow::Result<Suspects>) -> CheckResult {
    let (promise, name, says) = check.names();
    let error = confirmed.as_ref().err().map(|error| format!("{error:#}"));
    if let Some(error) = &error {
        tracing::warn!(check.name = name, error, "a check could not be run");
    }
    let (violations, rows) = confirmed.unwrap_or_default().found();
    CheckResult { promise, name, says, ok: violations == 0 && error.is_none(), violations, rows, error }
}

/// A check of either kind.
enum Check {
    Own(&'static str, &'static Invariant),
    Cross(&'static CrossCheck),
}

impl Check {
    const fn names(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Own(_, invariant) => (invariant.promise, invariant.name, invariant.says),
            Self::Cross(check) => (check.promise, check.name, check.says),
        }
    }
}
