//! `makegood verify`: every promise asked of the books, straight from the databases and without any role running.
//!
//! The same audit is `GET /v1/admin/invariants`; this one needs no key and works while the API is down.

mod promises;

pub(crate) use promises::promises;

use std::time::Duration;

use anyhow::bail;
use makegood_auditor::{Auditor, CheckResult, Report};
use makegood_chassis::config::Config;
use tokio::time::Instant;

use crate::client::{
    deployment::DeploymentArgs,
    duration::parse_duration,
    output::Output,
    terminal::{print_json, print_line},
};

const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Checks every promise (P1 to P9) against the databases; exit code 1 if one is broken
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads only, as role makegood_auditor; MAKEGOOD_<SERVICE>_DATABASE_URL names one service's database.

Examples:
  makegood verify
  makegood verify --wait 60s -o json")]
pub(crate) struct Args {
    /// Wait up to this long until no saga is on its way (ms, s or m); sagas that still are do not fail the check
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    wait: Option<Duration>,
    /// How the result is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// Prints every check; an error if one does not hold.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let report = audit(&args.deployment.resolve()?, args.wait).await?;
    match args.output {
        Output::Table => report.checks.iter().try_for_each(print)?,
        Output::Json => print_json(&report)?,
    }
    if report.ok {
        return Ok(());
    }
    bail!("{} of {} checks do not hold", report.checks.len() - report.holding(), report.checks.len())
}

/// Runs the audit on the deployment's databases, after waiting for quiet if asked to.
pub(crate) async fn audit(deployment: &DeploymentArgs, wait: Option<Duration>) -> anyhow::Result<Report> {
    let auditor = Auditor::new(config(deployment)?, promises());
    if let Some(wait) = wait {
        await_quiet(&auditor, wait).await?;
    }
    auditor.audit().await
}

/// The auditor looks at databases only: NATS and API keys are not its concern, and neither are server and secret where every
/// service's database is named outright.
fn config(deployment: &DeploymentArgs) -> anyhow::Result<Config> {
    let is_named =
        |service: &str| std::env::var_os(format!("MAKEGOOD_{}_DATABASE_URL", service.to_uppercase())).is_some();
    let all_named = promises().iter().all(|promises| is_named(promises.service));
    let Some(database_url) = deployment.database_url.clone().or_else(|| all_named.then(String::new)) else {
        bail!("no DATABASE_URL: start the development server (make up), set the variable, or give --database-url");
    };
    let Some(secret) = deployment.secret.clone().or_else(|| all_named.then(String::new)) else {
        bail!("no MAKEGOOD_SECRET, from which the auditor's password derives: set the variable, or give --secret");
    };
    Ok(Config { database_url, nats_url: String::new(), secret, api_keys: std::path::PathBuf::new() })
}

async fn await_quiet(auditor: &Auditor, wait: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let live = auditor.live_sagas().await?;
        if live == 0 {
            return Ok(());
        }
        if begun.elapsed() >= wait {
            eprintln!("{live} sagas are still on their way after {} s; the checks allow for them", wait.as_secs());
            return Ok(());
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
}

fn print(check: &CheckResult) -> anyhow::Result<()> {
    print_line(format!("{} {} {:<40} {}", if check.ok { '✓' } else { '✗' }, check.promise, check.name, check.says))?;
    if let Some(error) = &check.error {
        print_line(format!("     could not be checked: {error}"))?;
    }
    if check.violations > 0 {
        print_line(format!("     {} violations:", check.violations))?;
    }
    for row in &check.rows {
        print_line(format!("     {}  {}", row.id, row.detail))?;
    }
    if check.violations > check.rows.len() {
        print_line(format!("     … and {} more", check.violations - check.rows.len()))?;
    }
    Ok(())
}
