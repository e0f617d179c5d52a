//! `makegood with-servers -- COMMAND`: a PostgreSQL and a NATS of the command's own, gone when it ends.
//!
//! `make test` runs the tests this way, so that a bare machine needs neither server.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::{Context, Result};
use makegood_servers::{nats, postgres, process::Process, wheels};
use tokio::process::Command;

use crate::{interrupts::Interrupts, progress};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  makegood with-servers -- cargo test --release")]
pub(crate) struct Args {
    /// Folder that scripts/install-servers filled.
    #[arg(long, env = "MAKEGOOD_SERVERS", default_value = ".makegood/servers")]
    servers: PathBuf,
    /// The command; it finds the servers in MAKEGOOD_TEST_DATABASE_URL and MAKEGOOD_TEST_NATS_URL.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    // In the temporary folder, which everybody can enter: PostgreSQL may have to run as another user than ours.
    let home = std::env::temp_dir().join(format!("makegood-{}", std::process::id()));
    std::fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
    let result = run_in(&args, &home).await;
    std::fs::remove_dir_all(&home).with_context(|| format!("removing {}", home.display()))?;
    let status = result?;
    if !status.success() {
        // The command has said why; its code is ours.
        std::process::exit(status.code().unwrap_or(crate::interrupts::EXIT_CODE));
    }
    Ok(())
}

async fn run_in(args: &Args, home: &Path) -> Result<ExitStatus> {
    let mut interrupts = Interrupts::register()?;
    let notify = progress::notify();
    let wheels = wheels::find(&args.servers, home, &notify)?;
    let prepared = postgres::prepare(&wheels, home, postgres::Durability::ProcessDeath, &notify);
    let database = progress::step("setting up PostgreSQL for the tests", prepared).await?;
    let bus = nats::prepare(&wheels, home, &notify).await?;
    let (mut database_server, mut bus_server) = progress::step("starting PostgreSQL and NATS for the tests", async {
        tokio::try_join!(Process::start(database.launch, notify.clone()), Process::start(bus.launch, notify.clone()))
    })
    .await?;
    let outcome = run_command(args, &database.url, &bus.url, &mut interrupts).await;
    bus_server.stop().await?;
    database_server.stop().await?;
    outcome
}

/// Ctrl-C reaches the command too, for it is in our process group: we only wait for its end.
async fn run_command(
    args: &Args,
    database_url: &str,
    nats_url: &str,
    interrupts: &mut Interrupts,
) -> Result<ExitStatus> {
    let (program, rest) = args.command.split_first().context("there is no command to run")?;
    let mut command = Command::new(program);
    command.args(rest).env("MAKEGOOD_TEST_DATABASE_URL", database_url).env("MAKEGOOD_TEST_NATS_URL", nats_url);
    command.env("MAKEGOOD_SERVERS", std::fs::canonicalize(&args.servers)?);
    let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
    loop {
        tokio::select! {
            status = child.wait() => return status.context("waiting for the command"),
            () = interrupts.next() => {}
        }
    }
}
