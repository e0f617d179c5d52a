//! `makegood dead-letters ls`: what waits for somebody, by service.

use serde_json::Value;

use super::{Letter, path, service};
use crate::{
    client::{
        admin::{Access, Admin, read},
        output::Output,
        terminal::{Styled, columns, print, print_json_line, shortened},
    },
    progress,
    roles::Role,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  makegood dead-letters ls
  makegood dead-letters ls --service inventory --subject cmd.inventory.hold_stock.v1
  makegood dead-letters ls --state all -o json";

/// What of a reason fits behind everything else; `show` has all of it.
const REASON_CHARACTERS: usize = 72;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Letters of this service only
    #[arg(long, value_parser = service)]
    service: Option<Role>,
    /// Letters that came on this subject only
    #[arg(long)]
    subject: Option<String>,
    /// open: not sent again yet, nor let go; resolved; or all
    #[arg(long, default_value = "open", value_parser = ["open", "resolved", "all"])]
    state: String,
    /// Letters of a service at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How the list is written: JSON is one letter a line
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = Admin::open(args.access, args.output)?;
    let asked = match args.service {
        Some(role) => vec![role],
        // The sandbox is no part of a real deployment; ask for it by name.
        None => Role::ALL.into_iter().filter(|role| role.migrator().is_some() && *role != Role::Sandbox).collect(),
    };
    let mut query = vec![("state", args.state)];
    query.extend(args.subject.map(|subject| ("subject", subject)));
    let mut letters = Vec::new();
    for role in asked {
        let (rows, more) = admin.rows(&path(role), &query, usize::try_from(args.limit)?).await?;
        if more {
            progress::say(&format!("{} has more than these {}: --limit shows more of them", role.name(), args.limit));
        }
        letters.extend(rows.into_iter().map(|row| (role, row)));
    }
    match args.output {
        Output::Json => letters.into_iter().try_for_each(|(role, row)| print_json_line(&with_service(role, row))),
        Output::Table if letters.is_empty() => {
            progress::say("no dead letter matches");
            Ok(())
        }
        Output::Table => print(&table(letters)?),
    }
}

/// A line says by itself whose letter it is.
fn with_service(role: Role, mut row: Value) -> Value {
    row["service"] = role.name().into();
    row
}

fn table(letters: Vec<(Role, Value)>) -> anyhow::Result<String> {
    let titles = ["PARKED (UTC)", "SERVICE", "LETTER", "STATE", "SUBJECT", "WHY"];
    let mut rows = vec![titles.map(Styled::bold).to_vec()];
    for (role, row) in letters {
        let letter: Letter = read(row)?;
        rows.push(vec![
            Styled::plain(letter.parked()?),
            Styled::plain(role.name()),
            Styled::plain(&letter.id),
            Styled::plain(&letter.state),
            Styled::plain(&letter.subject),
            Styled::plain(shortened(&letter.reason, REASON_CHARACTERS)),
        ]);
    }
    Ok(columns(&rows))
}
