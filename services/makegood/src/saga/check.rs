//! `makegood saga check`: everything that is wrong with definitions, at once, each with its place.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use makegood_saga::definition::{Definition, Problem};
use serde::Serialize;

use super::known_commands::KNOWN_COMMANDS;
use crate::client::output::Output;

/// Check definitions; exit code 1 if one cannot be used
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A problem is one line: file:line:column: step `name`: what is wrong; what to do. Checked are the form, the commands, that
inputs come from earlier steps, that nothing is undone from the pivot on, and that each wait has an end.

Examples:
  makegood saga check saga-definitions/checkout.v1.yaml
  makegood saga check --commands my-commands.txt flows/*.yaml
  makegood saga check --any-command -o json flow.yaml")]
pub(crate) struct Args {
    /// The definitions, as YAML
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Commands of your own participants, one `service.verb_noun` a line; `#` begins a comment
    #[arg(long, value_name = "FILE")]
    commands: Vec<PathBuf>,
    /// Accept commands that nobody is known to do
    #[arg(long, conflicts_with = "commands")]
    any_command: bool,
    /// How the result is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// One file's result.
#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    /// What it defines; none while something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<Defined>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Defined {
    saga: String,
    version: u32,
    steps: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut commands: BTreeSet<String> = KNOWN_COMMANDS.iter().map(|command| (*command).to_owned()).collect();
    for file in &args.commands {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        commands.extend(listed(&text).map(str::to_owned));
    }
    let is_known = |command: &str| args.any_command || commands.contains(command);
    let mut results = Vec::with_capacity(args.files.len());
    for file in &args.files {
        let yaml = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        results.push(check(file.display().to_string(), &yaml, is_known));
    }
    match args.output {
        Output::Table => results.iter().for_each(print),
        Output::Json => println!("{}", serde_json::to_string_pretty(&results)?),
    }
    let wrong = results.iter().filter(|result| !result.ok).count();
    if wrong > 0 {
        bail!("{wrong} of {} definitions cannot be used", results.len());
    }
    Ok(())
}

fn check(file: String, yaml: &str, is_known: impl Fn(&str) -> bool) -> Checked {
    match Definition::parse_knowing(yaml, is_known) {
        Ok(definition) => {
            let steps = definition.steps.len();
            let defined = Defined { saga: definition.name, version: definition.version, steps };
            Checked { file, ok: true, definition: Some(defined), problems: Vec::new() }
        }
        Err(error) => Checked { file, ok: false, definition: None, problems: error.problems },
    }
}

fn print(result: &Checked) {
    if let Some(defined) = &result.definition {
        println!("{}: {} v{}, {} steps, is sound", result.file, defined.saga, defined.version, defined.steps);
    }
    for problem in &result.problems {
        println!("{}:{problem}", result.file);
    }
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_line_with_its_place_and_json_has_the_same() {
        let yaml = "saga: a\nversion: 1\nsteps:\n  - { step: x, command: shop.wrap_gift }\n";
        let result = check("flow.yaml".to_owned(), yaml, |command| KNOWN_COMMANDS.contains(&command));
        let line = format!("{}:{}", result.file, result.problems[0]);
        assert!(line.starts_with("flow.yaml:4:25: step `x`: `shop.wrap_gift` is no known command"), "{line}");
        let json = serde_json::to_value(&result).expect("it is JSON");
        assert_eq!(json["problems"][0]["line"], 4);
        assert_eq!(json["problems"][0]["column"], 25);
        assert_eq!(json["problems"][0]["step"], "x");
    }

    #[test]
    fn a_list_of_commands_has_comments_and_empty_lines() {
        let listed: Vec<_> = listed("# ours\nshop.wrap_gift  # twice a year\n\nshop.write_card\n").collect();
        assert_eq!(listed, ["shop.wrap_gift", "shop.write_card"]);
    }
}
