//! `makegood saga`: looking at a saga's definition before it is released.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use makegood_saga::definition::Definition;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check a definition: its form, its commands, that inputs come from earlier steps, that nothing is undone after the pivot.
    #[command(after_help = "Example:\n  makegood saga check saga-definitions/checkout.v1.yaml")]
    Check {
        /// The definition, as YAML.
        file: PathBuf,
    },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Check { file } => {
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let definition = Definition::parse(&text).with_context(|| format!("{} cannot be used", file.display()))?;
            println!(
                "{}: {} v{}, {} steps, is sound",
                file.display(),
                definition.name,
                definition.version,
                definition.steps.len()
            );
            Ok(())
        }
    }
}
