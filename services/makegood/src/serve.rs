//! `makegood serve ROLE…`: runs any set of roles in this process, in production and in development alike.
//!
//! Each role's message handling has a thread and a runtime of its own; HTTP of all roles here is one address on
//! another ([`http_server`]); health and metrics have a port of their own ([`health`]). A role that fails ends the process: the
//! platform starts it again. At SIGTERM or Ctrl-C it becomes unready, takes nothing new, finishes what runs, and exits with 0.

mod api_description;
mod api_problems;
mod health;
mod http_server;
mod role_worker;

use std::{net::IpAddr, thread::JoinHandle, time::Duration};

use anyhow::{Context, Result, anyhow};
use makegood_chassis::{
    config::{Config, HttpLimits},
    failpoint::{self, Death},
    shutdown::Shutdown,
    telemetry,
};
use tokio::net::TcpListener;

use crate::{
    interrupts::{self, Interrupts},
    roles::{self, Role, Settings},
    usage::Usage,
};

/// What runs may finish within this long; the platform kills after 60 s.
const DRAIN_WITHIN: Duration = Duration::from_secs(25);

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  makegood serve all\n  makegood serve order cart\n  MAKEGOOD_LISTEN=0.0.0.0 makegood serve payment"
)]
pub(crate) struct Args {
    /// Roles: order, cart, catalog, inventory, payment, fulfillment, orchestrator, sandbox, auditor, or `all`.
    #[arg(required = true, value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    shared: Config,
    #[command(flatten)]
    limits: HttpLimits,
    /// Address to listen on.
    #[arg(long, env = "MAKEGOOD_LISTEN", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port of the API.
    #[arg(long, env = "MAKEGOOD_PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Port of /livez, /healthz, /readyz and /metrics.
    #[arg(long, env = "MAKEGOOD_OPS_PORT", default_value_t = 9090)]
    ops_port: u16,
    /// Die at a failpoint, on its so manieth pass, for tests: such as `orchestrator.after_commit=3`.
    #[arg(long, env = "MAKEGOOD_FAILPOINT", hide = true, value_name = "FAILPOINT=PASS")]
    failpoint: Option<Death>,
    #[command(flatten)]
    settings: Settings,
}

/// What every thread of the process is given.
#[derive(Debug, Clone)]
struct Process {
    roles: Vec<Role>,
    config: Config,
    limits: HttpLimits,
    settings: Settings,
    shutdown: Shutdown,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let roles = roles::parse(&args.roles)?;
    if let Some(death) = args.failpoint {
        arm(death, args.listen)?;
    }
    let telemetry = telemetry::init("makegood")?;
    let api = listen(args.listen, args.port, "MAKEGOOD_PORT").await?;
    let ops = listen(args.listen, args.ops_port, "MAKEGOOD_OPS_PORT").await?;
    let process = Process {
        roles,
        config: args.shared,
        limits: args.limits,
        settings: args.settings,
        shutdown: Shutdown::default(),
    };
    let names: Vec<&str> = process.roles.iter().map(|role| role.name()).collect();
    tracing::info!(roles = names.join(" "), address = %api.local_addr()?, ops.address = %ops.local_addr()?, "serving");
    let interrupts = Interrupts::register()?;
    let health = tokio::spawn(health::serve(ops, process.clone()));
    let threads = spawn_threads(&process, api)?;
    let result = until_ended(threads, &process.shutdown, interrupts).await;
    health.abort();
    telemetry.close().await;
    result
}

/// What others can reach is no place for it: who listens to this machine alone serves nobody else.
fn arm(death: Death, listen: IpAddr) -> Result<()> {
    if !listen.is_loopback() {
        let refusal = format!(
            "MAKEGOOD_FAILPOINT is for tests: {listen} can be reached from elsewhere, and this process would die"
        );
        return Err(Usage(refusal).into());
    }
    failpoint::arm(death);
    Ok(())
}

async fn listen(address: IpAddr, port: u16, variable: &str) -> Result<TcpListener> {
    TcpListener::bind((address, port))
        .await
        .with_context(|| format!("cannot listen on {address}:{port}; {variable} chooses another port"))
}

type Thread = (String, JoinHandle<Result<()>>);

fn spawn_threads(process: &Process, api: TcpListener) -> Result<Vec<Thread>> {
    let api = api.into_std().context("handing the listener to its thread")?;
    let mut threads = vec![("http".to_owned(), http_server::spawn(process.clone(), api))];
    threads.extend(role_worker::spawn_all(process));
    Ok(threads)
}

/// Waits for a signal, or for the first thread to end, then for all of them.
async fn until_ended(threads: Vec<Thread>, shutdown: &Shutdown, mut interrupts: Interrupts) -> Result<()> {
    let joined = threads.into_iter().map(|(name, thread)| join(name, thread, shutdown.clone()));
    let all = futures::future::join_all(joined);
    tokio::pin!(all);
    tokio::select! {
        results = &mut all => return results.into_iter().collect(),
        () = interrupts.next() => tracing::info!("asked to end; finishing what runs"),
        () = shutdown.token.cancelled() => {}
    }
    shutdown.begin();
    tokio::select! {
        results = &mut all => results.into_iter().collect(),
        () = tokio::time::sleep(DRAIN_WITHIN) => {
            // Exits here, because returning would wait for the very threads that do not end.
            tracing::error!(seconds = DRAIN_WITHIN.as_secs(), "not everything was finished in time; what was not is done again elsewhere");
            std::process::exit(1)
        }
        () = interrupts.next() => std::process::exit(interrupts::EXIT_CODE),
    }
}

/// A thread's end is everybody's end: half a process would look healthy and do nothing.
async fn join(name: String, thread: JoinHandle<Result<()>>, shutdown: Shutdown) -> Result<()> {
    let ended = tokio::task::spawn_blocking(move || thread.join()).await.context("waiting for a thread")?;
    let result = match ended {
        Ok(result) => result.with_context(|| format!("role {name}")),
        Err(_) => Err(anyhow!("role {name} panicked; its log says where")),
    };
    if let Err(error) = &result {
        tracing::error!(role = name, error = format!("{error:#}"), "a role has ended, and so does the process");
    } else if !shutdown.has_begun() {
        tracing::warn!(role = name, "a role has ended by itself, and so does the process");
    }
    shutdown.begin();
    result
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn what_others_can_reach_is_not_told_to_die() {
        let death = "orchestrator.after_commit".parse().expect("a failpoint");
        let refused = arm(death, Ipv4Addr::UNSPECIFIED.into()).expect_err("0.0.0.0 is open to all");
        assert!(refused.is::<Usage>(), "{refused:#}");
    }
}
