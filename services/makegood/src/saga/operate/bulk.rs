//! `makegood saga bulk`: one operation on all sagas that match.
//!
//! A dry run counts them first, and a person confirms the number. The orchestrator then works the operation off by itself,
//! also if this command ends: it is watched here and not driven.

mod watch;

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    admin::{Access, Admin, read},
    answers::{BulkOperation, NotDone},
    audit::SECONDS,
    filter::Filter,
    operation::{Cancel, Compensate, Move, Operation, Pause, Resolve, Resume, Retry, Signal, Skip},
    terminal::{Styled, columns, print, print_json, print_json_line},
};
use crate::{client::output::Output, progress, usage::Usage};

const TITLES: [&str; 10] =
    ["OPERATION", "BEGAN (UTC)", "ACTION", "STATE", "MATCH", "DONE", "REFUSED", "FAILED", "OPERATOR", "BECAUSE"];

pub(super) const EXAMPLES: &str = "\
Examples:
  makegood saga bulk retry --state parked --step capture_payment --reason \"the bank is back\"
  makegood saga bulk cancel --definition checkout --state waiting --older-than 2h --reason \"the sale is over\" --yes
  makegood saga bulk ls
  makegood saga bulk stop blk_… --reason \"the wrong step\"";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Send what is out, or parked, again at once
    #[command(after_help = "Example:\n  makegood saga bulk retry --state parked --reason \"the carrier is back\"")]
    Retry(Start<Retry>),
    /// Go on without a step
    #[command(
        after_help = "Example:\n  makegood saga bulk skip --state parked --step notify_buyer --reason \"told them by post\""
    )]
    Skip(Start<Skip>),
    /// Turn them around
    #[command(
        after_help = "Example:\n  makegood saga bulk compensate --state running --step hold_stock --reason \"the depot burnt down\""
    )]
    Compensate(Start<Compensate>),
    /// Take a parked step as settled by hand
    #[command(
        after_help = "Example:\n  makegood saga bulk resolve --state parked --step void_payment --reason \"voided at the bank\""
    )]
    Resolve(Start<Resolve>),
    /// Hold them where they are
    #[command(
        after_help = "Example:\n  makegood saga bulk pause --state live --step create_shipments --reason \"the depot moves\""
    )]
    Pause(Start<Pause>),
    /// Let paused ones go on
    #[command(after_help = "Example:\n  makegood saga bulk resume --state paused --reason \"the depot has moved\"")]
    Resume(Start<Resume>),
    /// Call them off
    #[command(
        after_help = "Example:\n  makegood saga bulk cancel --customer ann@example.com --reason \"account closed\""
    )]
    Cancel(Start<Cancel>),
    /// Hand them the signal that they wait for
    #[command(
        after_help = "Example:\n  makegood saga bulk signal released --state waiting --step release --reason \"the sale has begun\""
    )]
    Signal(Start<Signal>),
    /// Move waiting ones to another version of their definition
    #[command(
        after_help = "Example:\n  makegood saga bulk move --to-version 2 --definition checkout --state waiting --reason \"v1's deadline is wrong\""
    )]
    Move(Start<Move>),
    /// List bulk operations, newest first
    #[command(after_help = "Example:\n  makegood saga bulk ls -o json")]
    Ls(List),
    /// Show how far one is
    #[command(after_help = "Example:\n  makegood saga bulk show blk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    Show(One),
    /// Watch one until it has ended
    #[command(after_help = "Example:\n  makegood saga bulk watch blk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    Watch(One),
    /// Stop one: what it has done stays, the rest is left alone
    #[command(
        after_help = "Example:\n  makegood saga bulk stop blk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f --reason \"the wrong step\""
    )]
    Stop(Stop),
}

#[derive(Debug, clap::Args)]
struct Start<O: Operation> {
    #[command(flatten)]
    operation: O,
    #[command(flatten)]
    filter: Filter,
    /// Why, for whoever reads the audit log
    #[arg(long)]
    reason: String,
    /// Sagas a second at most
    #[arg(long, value_name = "SAGAS", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Only say how many match
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// How it is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Operations at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How the list is written: JSON is one operation a line
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The operation's id, blk_…
    operation: String,
    /// How it is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, clap::Args)]
struct Stop {
    #[command(flatten)]
    one: One,
    /// Why, for whoever looks at the operation later
    #[arg(long)]
    reason: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Retry(start) => begin(start).await,
        Command::Skip(start) => begin(start).await,
        Command::Compensate(start) => begin(start).await,
        Command::Resolve(start) => begin(start).await,
        Command::Pause(start) => begin(start).await,
        Command::Resume(start) => begin(start).await,
        Command::Cancel(start) => begin(start).await,
        Command::Signal(start) => begin(start).await,
        Command::Move(start) => begin(start).await,
        Command::Ls(list) => ls(list).await,
        Command::Show(one) => {
            let (admin, path) = one.open("")?;
            show(admin.get(&path).await?.body, one.output)
        }
        Command::Watch(one) => {
            let (admin, _) = one.open("")?;
            watch::watch(&admin, &one.operation, one.output).await
        }
        Command::Stop(Stop { one, reason }) => {
            let (admin, path) = one.open("/stop")?;
            show(admin.post(&path, &json!({ "reason": reason }), None).await?, one.output)
        }
    }
}

impl One {
    fn open(&self, action: &str) -> anyhow::Result<(Admin, String)> {
        let is_id =
            self.operation.strip_prefix("blk_").is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if !is_id {
            return Err(Usage(format!("{:?} is no bulk operation's id (blk_…)", self.operation)).into());
        }
        let path = format!("/v1/admin/bulk_operations/{}{action}", self.operation);
        Ok((Admin::open(self.access.clone(), self.output)?, path))
    }
}

async fn begin<O: Operation>(start: Start<O>) -> anyhow::Result<()> {
    if start.filter.is_empty() {
        return Err(Usage(
            "a bulk operation needs a filter, such as --state parked; `--state live` is every saga that has not ended"
                .to_owned(),
        )
        .into());
    }
    if !start.yes && !start.dry_run && !io::stdin().is_terminal() {
        return Err(Usage(
            "nobody is here to confirm: give --yes to do it, or --dry-run to see how many match".to_owned(),
        )
        .into());
    }
    let mut request = start.operation.fields(start.filter.step.as_deref())?;
    request.insert("action".to_owned(), O::ACTION.into());
    request.insert("filter".to_owned(), start.filter.json());
    request.insert("reason".to_owned(), start.reason.into());
    request.extend(start.rate.map(|rate| ("rate_per_second".to_owned(), rate.into())));
    let ask = |dry_run: bool| {
        let mut request = request.clone();
        request.insert("dry_run".to_owned(), dry_run.into());
        Value::Object(request)
    };
    let admin = Admin::open(start.access, start.output)?;
    let dry = admin.post("/v1/admin/sagas:bulk", &ask(true), None).await?;
    let matches = dry["matches"].as_u64().with_context(|| format!("a dry run says how many match, and not {dry}"))?;
    if start.dry_run {
        return match start.output {
            Output::Json => print_json(&dry),
            Output::Table => print(&format!("{} match\n", sagas(matches))),
        };
    }
    if matches == 0 {
        progress::say("no saga matches: nothing to do");
        return match start.output {
            Output::Json => print_json(&dry),
            Output::Table => Ok(()),
        };
    }
    if !start.yes && !confirmed(&format!("{} {}?", O::ACTION, sagas(matches)))? {
        progress::say("nothing was done");
        return Ok(());
    }
    let begun: BulkOperation = read(admin.post("/v1/admin/sagas:bulk", &ask(false), None).await?)?;
    watch::watch(&admin, &begun.id, start.output).await
}

fn sagas(count: u64) -> String {
    if count == 1 { "1 saga".to_owned() } else { format!("{count} sagas") }
}

/// Asks the person at the terminal. Anything but a yes is a no.
fn confirmed(question: &str) -> anyhow::Result<bool> {
    eprint!("{question} [y/N] ");
    io::stderr().flush().context("asking")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("reading the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

async fn ls(list: List) -> anyhow::Result<()> {
    let admin = Admin::open(list.access, list.output)?;
    let (rows, more) = admin.rows("/v1/admin/bulk_operations", &[], usize::try_from(list.limit)?).await?;
    match list.output {
        Output::Json => rows.iter().try_for_each(print_json_line)?,
        Output::Table if rows.is_empty() => progress::say("there was no bulk operation"),
        Output::Table => {
            let operations = rows.into_iter().map(read).collect::<anyhow::Result<Vec<BulkOperation>>>()?;
            print(&table(&operations)?)?;
        }
    }
    if more {
        progress::say(&format!("there are more than these {}: --limit shows more of them", list.limit));
    }
    Ok(())
}

fn show(answer: Value, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => print_json(&answer),
        Output::Table => print(&told(&read(answer)?)?),
    }
}

/// One operation, and the first sagas that it was not done to.
fn told(operation: &BulkOperation) -> anyhow::Result<String> {
    let mut text = table(std::slice::from_ref(operation))?;
    let rows = operation.not_done.iter().map(|NotDone { saga, outcome, detail }| {
        vec![Styled::plain(saga), Styled::plain(outcome), Styled::plain(detail)]
    });
    text.push_str(&columns(&rows.collect::<Vec<_>>()));
    Ok(text)
}

fn table(operations: &[BulkOperation]) -> anyhow::Result<String> {
    let mut rows = vec![TITLES.map(Styled::bold).to_vec()];
    for operation in operations {
        let number = |number: u64| Styled::plain(number.to_string());
        let began = operation.created_at.map(|at| at.to_offset(time::UtcOffset::UTC).format(SECONDS)).transpose()?;
        rows.push(vec![
            Styled::plain(&operation.id),
            // A deployment of a release before does not tell it.
            Styled::plain(began.unwrap_or_default()),
            Styled::plain(&operation.action),
            Styled::state(&operation.state),
            number(operation.matches),
            number(operation.done),
            number(operation.refused),
            number(operation.failed),
            Styled::plain(&operation.actor),
            Styled::plain(&operation.reason),
        ]);
    }
    Ok(columns(&rows))
}
