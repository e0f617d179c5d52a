//! `makegood saga check`: everything that is wrong with definitions, at once, each with its place.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use makegood_saga::definition::{COMMAND_FORM, Definition, Known, Place, Problem, is_command};
use serde::Serialize;

use super::known_commands::known;
use crate::client::{
    output::Output,
    terminal::{print_json, print_line},
};

/// Check definitions; exit code 1 if one cannot be used
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A problem is one line: file:line:column: step `name`: what is wrong; what to do. Checked are the form, the commands, that
inputs come from earlier steps, that nothing is undone from the pivot on, and that each wait has an end.

Examples:
  makegood saga check saga-definitions/checkout.v2.yaml
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
    let mut commands: BTreeSet<String> = BTreeSet::new();
    for file in &args.commands {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        for (line, command) in listed(&text) {
            if !is_command(command) {
                bail!("{}:{line}: `{command}` is no command: {COMMAND_FORM}", file.display());
            }
            commands.insert(command.to_owned());
        }
    }
    let is_named = |command: &str| args.any_command || commands.contains(command);
    let known = |command: &str| {
        let known = known(command);
        if known == Known::Not && is_named(command) { Known::EitherWay } else { known }
    };
    let files: Vec<(String, io::Result<String>)> =
        args.files.iter().map(|file| (file.display().to_string(), fs::read_to_string(file))).collect();
    let results = check_all(&files, known);
    match args.output {
        Output::Table => results.iter().try_for_each(print)?,
        Output::Json => print_json(&results)?,
    }
    let wrong = results.iter().filter(|result| !result.ok).count();
    if wrong > 0 {
        bail!("{wrong} of {} definitions cannot be used", results.len());
    }
    Ok(())
}

/// Each file's result; of two that define the same version otherwise, the later one is wrong.
fn check_all(files: &[(String, io::Result<String>)], known: impl Fn(&str) -> Known) -> Vec<Checked> {
    let mut first_of: HashMap<(String, u32), (&str, &str)> = HashMap::new();
    let mut results = Vec::with_capacity(files.len());
    for (file, read) in files {
        let yaml = match read {
            Ok(yaml) => yaml,
            Err(error) => {
                results.push(wrong(file, format!("it cannot be read: {error}")));
                continue;
            }
        };
        let checked = check(file.clone(), yaml, &known);
        let clash = checked.definition.as_ref().and_then(|defined| {
            let (first, text) = first_of.entry((defined.saga.clone(), defined.version)).or_insert((file, yaml));
            (*text != yaml).then(|| {
                let Defined { saga, version, .. } = defined;
                format!(
                    "`{saga}` version {version} is defined by {first}, and otherwise; give one of them another version"
                )
            })
        });
        results.push(clash.map_or(checked, |problem| wrong(file, problem)));
    }
    results
}

/// What is wrong with a file as a whole.
fn wrong(file: &str, problem: String) -> Checked {
    let problem = Problem { place: Place { line: 1, column: 1 }, step: None, problem };
    Checked { file: file.to_owned(), ok: false, definition: None, problems: vec![problem] }
}

fn check(file: String, yaml: &str, known: impl Fn(&str) -> Known) -> Checked {
    match Definition::parse_knowing(yaml, known) {
        Ok(definition) => {
            let steps = definition.steps.len();
            let defined = Defined { saga: definition.name, version: definition.version, steps };
            Checked { file, ok: true, definition: Some(defined), problems: Vec::new() }
        }
        Err(error) => Checked { file, ok: false, definition: None, problems: error.problems },
    }
}

fn print(result: &Checked) -> Result<()> {
    if let Some(defined) = &result.definition {
        let Defined { saga, version, steps } = defined;
        print_line(format!("{}: {saga} v{version}, {steps} steps, is sound", result.file))?;
    }
    result.problems.iter().try_for_each(|problem| print_line(format!("{}:{problem}", result.file)))
}

/// The commands of a list, each with its line.
fn listed(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(|line| line.split_once('#').map_or(line, |(command, _)| command).trim());
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_line_with_its_place_and_json_has_the_same() {
        let yaml = "saga: a\nversion: 1\nsteps:\n  - { step: x, command: shop.wrap_gift }\n";
        let result = check("flow.yaml".to_owned(), yaml, known);
        let line = format!("{}:{}", result.file, result.problems[0]);
        assert!(line.starts_with("flow.yaml:4:25: step `x`: `shop.wrap_gift` is no known command"), "{line}");
        let json = serde_json::to_value(&result).expect("it is JSON");
        assert_eq!(json["problems"][0]["line"], 4);
        assert_eq!(json["problems"][0]["column"], 25);
        assert_eq!(json["problems"][0]["step"], "x");
    }

    #[test]
    fn an_undo_is_no_action_and_an_action_undoes_nothing() {
        let step = "{ step: pay, command: payment.void_payment, compensate: payment.authorize_payment, pending: cart.unlock_cart }";
        let result = check("flow.yaml".to_owned(), &format!("saga: a\nversion: 1\nsteps:\n  - {step}\n"), known);
        let told: Vec<&str> = result.problems.iter().map(|problem| problem.problem.as_str()).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("`payment.void_payment` undoes something"), "{told:?}");
        assert!(told[1].starts_with("`payment.authorize_payment` does something"), "{told:?}");
        assert!(told[2].starts_with("`cart.unlock_cart` undoes something"), "{told:?}");
    }

    #[test]
    fn one_file_that_cannot_be_read_hides_no_others_and_a_version_is_defined_once() {
        let definition = |step: &str| {
            Ok(format!("saga: a\nversion: 1\nsteps:\n  - {{ step: {step}, command: shop.wrap_gift, pivot: true }}\n"))
        };
        let files = [
            ("latin.yaml".to_owned(), Err(io::Error::other("no UTF-8"))),
            ("first.yaml".to_owned(), definition("x")),
            ("same.yaml".to_owned(), definition("x")),
            ("other.yaml".to_owned(), definition("y")),
        ];
        let results = check_all(&files, |_| Known::EitherWay);
        assert_eq!(results.iter().map(|result| result.ok).collect::<Vec<_>>(), [false, true, true, false]);
        assert_eq!(results[0].problems[0].to_string(), "1:1: it cannot be read: no UTF-8");
        assert!(results[3].problems[0].problem.contains("is defined by first.yaml"), "{:?}", results[3].problems[0]);
    }

    #[test]
    fn a_list_of_commands_has_comments_and_empty_lines() {
        let listed: Vec<_> = listed("# ours\nshop.wrap_gift  # twice a year\n\nshop.write_card\n").collect();
        assert_eq!(listed, [(2, "shop.wrap_gift"), (4, "shop.write_card")]);
    }
}
