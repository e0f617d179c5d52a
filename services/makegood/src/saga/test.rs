//! `makegood saga test`: a definition runs against scripted replies, without a server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use makegood_saga::{
    definition::Definition,
    rehearsal::{Rehearsal, Script, rehearse},
};

use crate::client::terminal::print_line;

/// Run definitions against scripted replies, without a server; exit code 1 if an expectation is not met
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A script names a definition and has cases. The clock begins at 2026-01-01T00:00:00Z and runs only when nothing is left to
answer; a step that is not named answers `done`. An answer that is a list counts by attempt, and its last one stays.

  definition: ../gift-wrap.v1.yaml
  cases:
    - case: the paper has run out, so the card is released
      input: { order_id: ord }
      signals: { confirmed: { by: buyer } }       # known from the start
      replies:
        authorize: [silent, { failed: not now }, { done: { id: pay } }]
        wrap: { refused: no_paper }               # also { pending: … }, { defect: … }, silent, done
      undo_replies: { authorize: done }
      then:                                       # in turn, each time the saga has come to rest
        - wait: 15m
        - signal: { name: inspected, payload: { by: ann } }
        - reply: { step: wrap, answer: done }     # late; with undo: true the answer to its undoing
        - cancel: { code: cancelled, detail: … }
        - retry: why                              # an operator; also compensate: why, restart: why
        - resolve: { step: wrap, output: {}, reason: why }
      expect:
        state: compensated                        # completed, parked, waiting, running, …
        reason: no_paper                          # the code it was undone for
        parked: wrap                              # the step that is parked
        sent: [authorize, wrap]                   # in order, each once
        undone: [authorize]
        skipped: []
        refused: []                               # what `then` asks and must not be possible: [compensate]
        inputs: { wrap: { order_id: ord } }       # fields that were sent

Examples:
  makegood saga test saga-definitions/tests/*.yaml
  makegood saga test --inputs --case 'declined card' saga-definitions/tests/checkout.v2.yaml")]
pub(crate) struct Args {
    /// The scripts, as YAML
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,
    /// Only what went wrong, not the timeline of every case
    #[arg(short, long)]
    quiet: bool,
    /// Show what went along with each command
    #[arg(long, conflicts_with = "quiet")]
    inputs: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (mut played, mut missed) = (0_usize, 0_usize);
    for file in &args.files {
        let (script, definition) = read(file)?;
        let wanted = |name: &str| args.case.as_ref().is_none_or(|part| name.contains(part));
        for case in script.cases.iter().filter(|case| wanted(&case.case)) {
            let rehearsal = rehearse(&definition, case);
            played += 1;
            missed += usize::from(!rehearsal.misses.is_empty());
            print(args, file, &case.case, &rehearsal)?;
        }
    }
    if played == 0 {
        bail!("no case was played: the scripts have none{}", if args.case.is_some() { " of that name" } else { "" });
    }
    print_line(format!("{} of {played} cases went as expected", played - missed))?;
    if missed > 0 {
        bail!("{missed} of {played} cases did not go as expected");
    }
    Ok(())
}

fn read(file: &Path) -> Result<(Script, Definition)> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let script = Script::parse(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    let path = file.parent().unwrap_or(Path::new("")).join(&script.definition);
    let yaml = fs::read_to_string(&path).with_context(|| format!("reading the definition {}", path.display()))?;
    let definition = Definition::parse(&yaml).with_context(|| format!("{} cannot be used", path.display()))?;
    Ok((script, definition))
}

fn print(args: &Args, file: &Path, case: &str, rehearsal: &Rehearsal) -> Result<()> {
    let is_well = rehearsal.misses.is_empty();
    if args.quiet && is_well {
        return Ok(());
    }
    print_line(format!("{} {}: {case}", if is_well { '✓' } else { '✗' }, file.display()))?;
    for line in &rehearsal.timeline {
        match &line.input {
            Some(input) if args.inputs => print_line(format!("  {line}  {input}"))?,
            Some(_) | None => print_line(format!("  {line}"))?,
        }
    }
    for miss in &rehearsal.misses {
        print_line(format!("  ✗ {miss}"))?;
    }
    print_line("")
}
