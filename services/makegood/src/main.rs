//! The `makegood` binary: every role of the back end, and the tools to run, load and check it.
//!
//! One file per command. [`serve`] runs [`roles`], in production and in development alike; [`up`] is a development server
//! on a machine that has nothing: it starts PostgreSQL, NATS and `serve` as children and looks after them.

mod roles;

mod keys;
mod migrate;
mod serve;

mod client;

mod dead_letters;
mod saga;

mod bench;
mod replay;
mod verify;

mod up;
mod with_servers;

mod interrupts;
mod progress;
mod usage;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};
use client::{
    output::Output,
    terminal::{has_written, print_json},
};

/// Messages and rows are many small allocations, a tenth of the time with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "makegood", version, about = "Every order completes, or everything it did is made good.")]
#[command(after_help = "Examples:\n  makegood up\n  makegood help serve")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run everything on this machine, for development: PostgreSQL, NATS, all roles, a demo catalog.
    Up(up::Args),
    /// Run roles in this process.
    Serve(Box<serve::Args>),
    /// Create every service's database, or bring it to this build's schema.
    Migrate(migrate::Args),
    /// Make API keys, and list them.
    Keys(keys::Args),
    /// Place a real shop's orders through the API, and report to the penny.
    Replay(replay::Args),
    /// Measure orders per second, and their latency.
    Bench(bench::Args),
    /// Ask the databases whether every promise holds.
    Verify(verify::Args),
    /// Check, test and draw saga definitions; look into the sagas that run, and mend them.
    Saga(saga::Args),
    /// Look at messages that could not be handled; send them again, or let them go.
    DeadLetters(dead_letters::Args),
    /// Run a command with a PostgreSQL and a NATS of its own.
    WithServers(with_servers::Args),
}

/// The roles have threads of their own, so the command's own runtime needs no more than this one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if is_for_programs(&matches) && !has_written() {
                // A standard output that is gone has nobody to tell.
                let _ = print_json(&told_to_programs(&error));
            }
            progress::say(&format!("{error:#}"));
            if error.is::<usage::Usage>() { ExitCode::from(usage::Usage::EXIT_CODE) } else { ExitCode::FAILURE }
        }
    }
}

/// Whether the command was given `-o json`.
fn is_for_programs(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, below)) => is_for_programs(below),
        None => matches!(matches.try_get_one("output"), Ok(Some(Output::Json))),
    }
}

/// What went wrong on this side, in the form in which the API's refusals are told (RFC 9457).
fn told_to_programs(error: &anyhow::Error) -> serde_json::Value {
    let title = if error.is::<usage::Usage>() { "The command line cannot be meant" } else { "The command failed" };
    serde_json::json!({ "type": "about:blank", "title": title, "detail": format!("{error:#}") })
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => up::run(args).await,
        Command::Serve(args) => serve::run(*args).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Saga(args) => saga::run(args).await,
        Command::DeadLetters(args) => dead_letters::run(args).await,
        Command::WithServers(args) => with_servers::run(args).await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::CommandFactory;

    /// No two roles may name a setting alike, nor an operation and the filter that it comes with: one of them would go without
    /// its value. clap itself looks for that in debug builds only, and tests run what is shipped.
    #[test]
    fn the_command_line_has_no_ambiguity() {
        let mut cli = super::Cli::command();
        cli.build();
        every_argument_is_one(&cli);
    }

    fn every_argument_is_one(command: &clap::Command) {
        let mut seen = HashSet::new();
        for argument in command.get_arguments() {
            let long = argument.get_long().map(|long| format!("--{long}"));
            let short = argument.get_short().map(|short| format!("-{short}"));
            for name in [Some(argument.get_id().to_string()), long, short].into_iter().flatten() {
                assert!(seen.insert(name.clone()), "`{}` has `{name}` twice", command.get_name());
            }
        }
        for below in command.get_subcommands() {
            every_argument_is_one(below);
        }
    }
}
