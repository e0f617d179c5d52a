//! The roles themselves: `makegood serve all` as a child, so that a crash of theirs takes nothing else along.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context, Result, bail};
use makegood_servers::{
    http_ready,
    leftover::Identity,
    port,
    process::{Launch, Process, Signal},
    token,
};

use super::{Args, dev_env::DevEnv, home::Home};
use crate::progress;

/// Roles wait for their databases and streams, so this is how long those may take to be usable.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Longer than `serve` itself drains for.
const STOP_WITHIN: Duration = Duration::from_secs(30);

const API_KEYS_FLAG: &str = "--api-keys";

/// Stops a `serve` that outlived its `up`: before its servers, and before its port is looked at.
pub(crate) async fn stop_leftover(home: &Home) -> Result<()> {
    identity(home).stop_leftover(&progress::notify()).await
}

/// Fails early and says what to do, before anything is started.
pub(crate) fn require_free_port(args: &Args) -> Result<()> {
    match TcpListener::bind((args.listen, args.port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} is taken by another program. Stop that one, or choose another port: make up MAKEGOOD_PORT={}",
            args.port,
            port::choose()?
        ),
        Err(error) => Err(error).with_context(|| {
            format!("cannot listen on {}:{} (MAKEGOOD_LISTEN, MAKEGOOD_PORT)", args.listen, args.port)
        }),
    }
}

pub(crate) async fn start(args: &Args, home: &Home, env: &DevEnv) -> Result<Process> {
    let notify = progress::notify();
    let ops_port = match args.ops_port {
        Some(port) if !port::is_free(port) => {
            bail!("port {port} (MAKEGOOD_OPS_PORT) is taken by another program. Stop that one, or choose another port")
        }
        Some(port) => port,
        None => port::keep(&home.file("ops.port"), "the health page", &notify)?,
    };
    let mut variables = env.variables();
    variables.extend([
        ("MAKEGOOD_PORT".to_owned(), args.port.to_string()),
        ("MAKEGOOD_LISTEN".to_owned(), args.listen.to_string()),
        ("MAKEGOOD_OPS_PORT".to_owned(), ops_port.to_string()),
        // Its log is a file.
        ("NO_COLOR".to_owned(), "1".to_owned()),
    ]);
    variables.extend(outside_world(home, &env.url)?);
    let launch = Launch {
        identity: identity(home),
        program: std::env::current_exe().context("finding our own program")?,
        args: vec!["serve".into(), "all".into(), API_KEYS_FLAG.into(), home.file("api_keys.json").into()],
        env: variables,
        run_as: None,
        log: home.file("makegood.log"),
        ready_within: READY_WITHIN,
        is_ready: Box::new(move |_pid| http_ready::answers_ok(ops_port, "/readyz")),
    };
    progress::step("starting all roles", Process::start(launch, notify)).await
}

/// The sandbox role stands for the card provider and the carrier, on our own address, unless the environment names others.
fn outside_world(home: &Home, url: &str) -> Result<Vec<(String, String)>> {
    let provider = [
        ("MAKEGOOD_PROVIDER_URL", url.to_owned()),
        ("MAKEGOOD_PROVIDER_KEY", token::keep(&home.file("provider.key"))?),
        ("MAKEGOOD_PROVIDER_CALLBACK_URL", format!("{url}/v1/provider/callbacks")),
    ];
    let carrier = [
        ("MAKEGOOD_CARRIER_URL", url.to_owned()),
        ("MAKEGOOD_CARRIER_CALLBACK_URL", format!("{url}/v1/carrier/callbacks")),
    ];
    let ours = |(name, value): (&str, String)| (name.to_owned(), value);
    let is_given = |name: &str| std::env::var_os(name).is_some();
    let provider = provider.into_iter().filter(|_| !is_given("MAKEGOOD_PROVIDER_URL"));
    let carrier = carrier.into_iter().filter(|_| !is_given("MAKEGOOD_CARRIER_URL"));
    Ok(provider.chain(carrier).map(ours).collect())
}

fn identity(home: &Home) -> Identity {
    Identity {
        name: "makegood serve".to_owned(),
        pid_file: home.file("makegood.pid"),
        // Tells this home's `serve` from another's.
        mark: format!("{API_KEYS_FLAG} {}", home.file("api_keys.json").display()),
        stop_signal: Signal::TERM,
        stop_within: STOP_WITHIN,
    }
}
