//! `makegood dead-letters ls`, `show`, `redrive`, `discard`: messages that could not be handled, over the admin API of a running
//! deployment. Nothing is decided here: what can be sent again is the service's to say.

mod decide;
mod ls;
mod show;

use anyhow::Result;
use serde::Deserialize;

use crate::roles::Role;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List messages that could not be handled, of one service or all, newest first
    #[command(after_help = ls::EXAMPLES)]
    Ls(ls::Args),
    /// Show one: why, what was in it, and what was done about it
    #[command(after_help = show::EXAMPLES)]
    Show(show::Args),
    /// Send one again, as it was; a step's command is sent by its saga: retry that
    #[command(
        after_help = "Example:\n  makegood dead-letters redrive orchestrator dlq_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f --reason \"the definition is released\""
    )]
    Redrive(decide::Args),
    /// Let one go
    #[command(
        after_help = "Example:\n  makegood dead-letters discard inventory dlq_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f --reason \"a test of ours\""
    )]
    Discard(decide::Args),
}

pub(crate) async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Ls(args) => ls::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Redrive(args) => decide::run(args, "redrive").await,
        Command::Discard(args) => decide::run(args, "discard").await,
    }
}

/// A service that keeps letters, for clap.
fn service(name: &str) -> Result<Role, String> {
    let keepers = || Role::ALL.into_iter().filter(|role| role.migrator().is_some());
    keepers().find(|role| role.name() == name).ok_or_else(|| {
        let known: Vec<_> = keepers().map(Role::name).collect();
        format!("the services are {}", known.join(", "))
    })
}

fn path(service: Role) -> String {
    format!("/v1/admin/dead_letters/{}", service.name())
}

/// What every answer about a letter has.
#[derive(Debug, Deserialize)]
struct Letter {
    id: String,
    subject: String,
    reason: String,
    state: String,
    deliveries: i64,
    #[serde(with = "time::serde::rfc3339")]
    parked_at: time::OffsetDateTime,
}

const SECONDS: &[time::format_description::BorrowedFormatItem<'static>] =
    time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

impl Letter {
    fn parked(&self) -> Result<String> {
        Ok(self.parked_at.to_offset(time::UtcOffset::UTC).format(SECONDS)?)
    }
}
