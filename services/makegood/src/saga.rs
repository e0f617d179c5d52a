//! `makegood saga`: what its author does with a definition before it is released, and what its operators do with the sagas
//! that run.

mod check;
mod draw;
mod known_commands;
mod schema;
mod test;

mod operate;

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(check::Args),
    Test(test::Args),
    Draw(draw::Args),
    Schema(schema::Args),
    #[command(flatten)]
    Operate(Box<operate::Command>),
}

pub(crate) async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Draw(args) => draw::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Operate(command) => operate::run(*command).await,
    }
}
