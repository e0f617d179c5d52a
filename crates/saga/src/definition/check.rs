//! From YAML to a definition that can be relied on. Tells all that is wrong at once.

use std::{collections::BTreeSet, time::Duration};

use super::{
    AwaitStep, CommandStep, Deadline, Definition, FINALLY, Input, OnDeadline, OutputSchema, Retry, Step, StepKind,
    When, duration,
    yaml::{Document, Entry, OnDeadlineEntry, RetryEntry},
};

/// One attempt of a step, unless the definition says otherwise: far above any healthy answer, and as long as an order
/// waits whose participant died with the command in hand.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a pending step waits for someone outside: what banks give a buyer for 3-D Secure.
const PENDING_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// All that is wrong with a definition, one sentence each.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct DefinitionError {
    pub problems: Vec<String>,
}

pub(super) fn parse(yaml: &str) -> Result<Definition, DefinitionError> {
    let document: Document =
        serde_saphyr::from_str(yaml).map_err(|error| DefinitionError { problems: vec![error.to_string()] })?;
    let mut check = Check::default();
    let definition = check.definition(document);
    if check.problems.is_empty() { Ok(definition) } else { Err(DefinitionError { problems: check.problems }) }
}

#[derive(Default)]
struct Check {
    problems: Vec<String>,
    /// Names that inputs may read: `input`, and the steps before the current stage.
    known: BTreeSet<String>,
    /// Those of them whose output may be absent, since the step may be skipped.
    skippable: BTreeSet<String>,
    /// Names of the stage that is being read: known from the next stage on.
    stage: Vec<String>,
    pivot: Option<usize>,
}

impl Check {
    fn complain(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn definition(&mut self, document: Document) -> Definition {
        if !is_name(&document.saga) {
            self.complain(format!("saga `{}`: a name is lower-case letters, digits, `_` and `-`", document.saga));
        }
        if document.version == 0 {
            self.complain("version: begins with 1");
        }
        if document.steps.is_empty() {
            self.complain("steps: there must be one at least");
        }
        self.known.insert("input".to_owned());
        let mut steps = Vec::new();
        let mut stages = Vec::new();
        for entry in document.steps {
            let start = steps.len();
            match entry.parallel {
                Some(members) => {
                    if members.len() < 2 {
                        self.complain("parallel: a group has two members at least");
                    }
                    for member in members {
                        self.step(member, &mut steps, true);
                    }
                }
                None => self.step(entry, &mut steps, false),
            }
            self.known.extend(self.stage.drain(..));
            stages.push(start..steps.len());
        }
        let finally = document.finally.map(|entry| self.command(FINALLY, entry, false));
        Definition { name: document.saga, version: document.version, steps, stages, pivot: self.pivot, finally }
    }

    fn step(&mut self, mut entry: Entry, steps: &mut Vec<Step>, in_group: bool) {
        let name = entry.step.take().unwrap_or_default();
        if !is_name(&name) || name == FINALLY || name == "input" {
            self.complain(format!(
                "step `{name}`: each step has a name of its own: lower-case letters, digits and `_`, not `input` or `{FINALLY}`"
            ));
        }
        if self.known.contains(&name) || self.stage.contains(&name) {
            self.complain(format!("step `{name}`: the name is taken"));
        }
        if entry.parallel.is_some() {
            self.complain(format!("step `{name}`: a group holds steps, not groups"));
        }
        if entry.pivot {
            if self.pivot.is_some() {
                self.complain(format!("step `{name}`: there is a pivot already"));
            }
            if in_group {
                self.complain(format!("step `{name}`: the pivot stands alone"));
            }
            self.pivot = self.pivot.or(Some(steps.len()));
        }
        let when = entry.when.take().and_then(|when| self.when(&name, &when));
        let kind = match (&entry.command, &entry.signal) {
            (Some(_), None) => StepKind::Command(self.command(&name, entry, self.pivot.is_some())),
            (None, Some(_)) => StepKind::Await(self.signal(&name, entry)),
            _ => {
                self.complain(format!("step `{name}`: has either `command` or `await`"));
                return;
            }
        };
        let passes_without_signal =
            matches!(&kind, StepKind::Await(awaited) if awaited.on_deadline == OnDeadline::Continue);
        if when.is_some() || passes_without_signal {
            self.skippable.insert(name.clone());
        }
        self.stage.push(name.clone());
        steps.push(Step { name, when, kind });
    }

    /// A condition reads what an input may read; what is absent is a no, so it needs no default.
    fn when(&mut self, name: &str, when: &serde_json::Value) -> Option<When> {
        match When::parse(when) {
            Ok(when) => {
                let unknown: Vec<String> =
                    when.roots().filter(|root| !self.known.contains(*root)).map(str::to_owned).collect();
                for root in unknown {
                    self.complain(format!("step `{name}`: when: `$.{root}` is neither `input` nor an earlier step"));
                }
                Some(when)
            }
            Err(error) => {
                self.complain(format!("step `{name}`: {error}"));
                None
            }
        }
    }

    fn output(&mut self, name: &str, schema: &serde_json::Value) -> Option<OutputSchema> {
        OutputSchema::parse(schema).map_err(|error| self.complain(format!("step `{name}`: {error}"))).ok()
    }

    fn command(&mut self, name: &str, entry: Entry, committed: bool) -> CommandStep {
        if entry.signal.is_some() || entry.deadline.is_some() || entry.on_deadline.is_some() {
            self.complain(format!("step `{name}`: `await`, `deadline` and `on_deadline` belong to an await"));
        }
        let command = entry.command.unwrap_or_default();
        for command in [Some(&command), entry.compensate.as_ref(), entry.pending.as_ref()].into_iter().flatten() {
            if !is_command(command) {
                self.complain(format!("step `{name}`: `{command}` is no command: write `service.verb_noun`"));
            }
        }
        if entry.compensate.is_some() && (committed || name == FINALLY) {
            self.complain(format!(
                "step `{name}`: nothing is undone from the pivot on, so `compensate` cannot be kept"
            ));
        }
        if name == FINALLY && (entry.when.is_some() || entry.output.is_some()) {
            self.complain(format!(
                "step `{name}`: it is always sent and nothing reads its output, so `when` and `output` say nothing"
            ));
        }
        let input = self.input(name, Input::parse(&entry.input));
        let output = entry.output.and_then(|schema| self.output(name, &schema));
        let base = if committed || name == FINALLY { Retry::NO_WAY_BACK } else { Retry::FORWARD };
        CommandStep {
            command,
            compensate: entry.compensate,
            pending: entry.pending,
            pending_deadline: self.duration(name, "pending_deadline", entry.pending_deadline, PENDING_DEADLINE),
            input,
            output,
            timeout: self.duration(name, "timeout", entry.timeout, TIMEOUT),
            retry: self.retry(name, entry.retry, base),
        }
    }

    fn signal(&mut self, name: &str, entry: Entry) -> AwaitStep {
        let not_here = entry.compensate.is_some()
            || entry.pending.is_some()
            || entry.pending_deadline.is_some()
            || entry.timeout.is_some()
            || entry.retry.is_some()
            || entry.pivot
            || entry.output.is_some()
            || !entry.input.is_empty();
        if not_here {
            self.complain(format!(
                "step `{name}`: an await has a signal, a deadline, on_deadline and when, nothing else"
            ));
        }
        let deadline = match entry.deadline {
            None => {
                self.complain(format!(
                    "step `{name}`: an await needs a deadline: a duration such as 15m, or a path to a time"
                ));
                Deadline::After(Duration::ZERO)
            }
            Some(text) if text.starts_with('$') => Deadline::At(self.input(name, Input::single(&text))),
            Some(text) => Deadline::After(self.duration(name, "deadline", Some(text), Duration::ZERO)),
        };
        let on_deadline = match entry.on_deadline {
            Some(OnDeadlineEntry::Compensate) => OnDeadline::Compensate,
            Some(OnDeadlineEntry::Continue) => OnDeadline::Continue,
            Some(OnDeadlineEntry::Park) => OnDeadline::Park,
            None => {
                self.complain(format!("step `{name}`: say `on_deadline: compensate`, `continue` or `park`"));
                OnDeadline::Park
            }
        };
        if self.pivot.is_some() && on_deadline == OnDeadline::Compensate {
            self.complain(format!(
                "step `{name}`: after the pivot there is no way back, so a deadline cannot compensate"
            ));
        }
        AwaitStep { signal: entry.signal.unwrap_or_default(), deadline, on_deadline }
    }

    /// An input reads `input` or a step of an earlier stage.
    fn input(&mut self, name: &str, input: Result<Input, String>) -> Input {
        match input {
            Ok(input) => {
                let mut problems = Vec::new();
                for (root, has_default) in input.roots() {
                    if !self.known.contains(root) {
                        problems.push(format!("step `{name}`: `$.{root}` is neither `input` nor an earlier step"));
                    } else if !has_default && name != FINALLY && self.skippable.contains(root) {
                        problems.push(format!(
                            "step `{name}`: `{root}` may be skipped and then has no output: write `{{path: $.{root}…, default: …}}`"
                        ));
                    }
                }
                self.problems.extend(problems);
                input
            }
            Err(error) => {
                self.complain(format!("step `{name}`: {error}"));
                Input::default()
            }
        }
    }

    fn duration(&mut self, name: &str, field: &str, text: Option<String>, default: Duration) -> Duration {
        let Some(text) = text else { return default };
        match duration::parse(&text) {
            Some(duration) if !duration.is_zero() => duration,
            _ => {
                self.complain(format!("step `{name}`: {field} `{text}`: write a whole number and ms, s, m, h or d"));
                default
            }
        }
    }

    fn retry(&mut self, name: &str, entry: Option<RetryEntry>, base: Retry) -> Retry {
        let Some(entry) = entry else { return base };
        let attempts = entry.attempts.unwrap_or(base.attempts);
        let factor = entry.factor.unwrap_or(base.factor);
        if attempts == 0 || factor == 0 {
            self.complain(format!("step `{name}`: retry needs one attempt and a factor of one at least"));
        }
        Retry {
            attempts,
            factor,
            initial: self.duration(name, "retry.initial", entry.initial, base.initial),
            max: self.duration(name, "retry.max", entry.max, base.max),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-')
}

fn is_command(text: &str) -> bool {
    text.split_once('.').is_some_and(|(service, verb)| is_name(service) && is_name(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKOUT: &str = include_str!("../../../../saga-definitions/checkout.v1.yaml");

    #[test]
    fn the_shipped_checkout_is_in_order() {
        let definition = Definition::parse(CHECKOUT).expect("it is checked before it ships");
        assert_eq!(definition.stages.iter().map(std::ops::Range::len).sum::<usize>(), definition.steps.len());
        assert_eq!(definition.pivot.map(|pivot| definition.name_of(pivot)), Some("capture_payment"));
        assert_eq!(definition.index_of(FINALLY), Some(definition.steps.len()));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let yaml = "
saga: Bad
version: 0
steps:
  - step: a
    command: nodot
    input: { x: $.later.y, z: nopath }
  - step: a
    command: s.v
    pivot: true
    compensate: s.u
  - step: b
    await: go
  - step: c
    command: s.v
    timeout: soon
";
        let problems = Definition::parse(yaml).expect_err("it is full of mistakes").problems.join("\n");
        for expected in
            ["saga `Bad`", "version", "`nodot`", "nopath", "name is taken", "compensate", "needs a deadline", "`soon`"]
        {
            assert!(problems.contains(expected), "`{expected}` is missing from:\n{problems}");
        }
    }

    #[test]
    fn an_input_may_not_read_a_later_step_or_a_sibling() {
        let yaml = "
saga: a
version: 1
steps:
  - parallel:
      - { step: one, command: s.v }
      - { step: two, command: s.v, input: { x: $.one.y } }
  - { step: three, command: s.v, input: { x: $.one.y, z: $.four.y } }
  - { step: four, command: s.v }
";
        let problems = Definition::parse(yaml).expect_err("two inputs read too early").problems;
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn an_unknown_field_is_told_with_its_place() {
        let error = Definition::parse("saga: a\nversion: 1\nsteps:\n  - step: x\n    comand: s.v\n").expect_err("typo");
        assert!(error.to_string().contains("comand") && error.to_string().contains('5'), "{error}");
    }
}
