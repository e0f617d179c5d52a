//! `makegood saga audit`: what operators did, newest first, with their reasons.

use super::{
    admin::{Access, Admin, read},
    answers::AuditRow,
    find,
    terminal::{Styled, columns, print, print_json_line},
};
use crate::{client::output::Output, progress};

pub(super) const EXAMPLES: &str = "\
Examples:
  makegood saga audit
  makegood saga audit --saga ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f
  makegood saga audit --action compensate -o json
  makegood saga audit --bulk blk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f";

/// To the second, in UTC.
pub(super) const SECONDS: &[time::format_description::BorrowedFormatItem<'static>] =
    time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What was done to this one only: its id, or its order's
    #[arg(long)]
    saga: Option<String>,
    /// What this operator did, as the column OPERATOR has it
    #[arg(long)]
    actor: Option<String>,
    /// What was done so: start, retry, skip, compensate, resolve, pause, resume, cancel, signal or move
    #[arg(long)]
    action: Option<String>,
    /// What this bulk operation did, blk_…
    #[arg(long, value_name = "OPERATION")]
    bulk: Option<String>,
    /// Rows at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How the list is written: JSON is one row a line
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = Admin::open(args.access, args.output)?;
    let mut query = Vec::new();
    if let Some(named) = &args.saga {
        query.push(("saga", find::saga_id(&admin, named).await?));
    }
    let more = [("actor", args.actor), ("action", args.action), ("bulk_operation", args.bulk)];
    query.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let (rows, more) = admin.rows("/v1/admin/audit", &query, usize::try_from(args.limit)?).await?;
    match args.output {
        Output::Json => rows.iter().try_for_each(print_json_line)?,
        Output::Table if rows.is_empty() => progress::say("no operator did anything that matches"),
        Output::Table => {
            let rows = rows.into_iter().map(read).collect::<anyhow::Result<Vec<AuditRow>>>()?;
            print(&table(&rows)?)?;
        }
    }
    if more {
        progress::say(&format!("there are more than these {}: --limit shows more of them", args.limit));
    }
    Ok(())
}

fn table(rows: &[AuditRow]) -> anyhow::Result<String> {
    let mut lines = vec![["AT (UTC)", "OPERATOR", "DID", "SAGA", "BECAUSE"].map(Styled::bold).to_vec()];
    for row in rows {
        lines.push(vec![
            Styled::plain(row.at.to_offset(time::UtcOffset::UTC).format(SECONDS)?),
            Styled::plain(&row.actor),
            Styled::plain(&row.action),
            Styled::plain(&row.saga),
            Styled::plain(&row.reason),
        ]);
    }
    Ok(columns(&lines))
}
