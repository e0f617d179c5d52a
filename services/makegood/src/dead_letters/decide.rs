//! `makegood dead-letters redrive` and `discard`: what becomes of one letter, and why.

use serde_json::json;

use super::{Letter, path, service};
use crate::{
    client::{
        admin::{Access, Admin, read},
        output::Output,
        terminal::{print, print_json},
    },
    roles::Role,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose letter it is, as `ls` has it
    #[arg(value_parser = service)]
    service: Role,
    /// The letter, dlq_…
    letter: String,
    /// Why, for whoever reads the audit log
    #[arg(long)]
    reason: String,
    /// How the result is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args, decision: &str) -> anyhow::Result<()> {
    let admin = Admin::open(args.access, args.output)?;
    let path = format!("{}/{}/{decision}", path(args.service), args.letter);
    let answer = admin.post(&path, &json!({"reason": args.reason}), None).await?;
    match args.output {
        Output::Json => print_json(&answer),
        Output::Table => {
            let letter: Letter = read(answer)?;
            print(&format!("{} ({}): {}\n", letter.id, letter.subject, letter.state))
        }
    }
}
