//! From YAML to a definition that can be relied on. Tells all that is wrong at once, each with its place.

mod reads;

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use super::{
    AwaitStep, CommandStep, Deadline, Definition, FINALLY, Input, Known, OnDeadline, OutputSchema, Retry, Step,
    StepKind, When, duration, input,
    located::{self, At},
    problem::{DefinitionError, Place, Problem},
    yaml::{self, AwaitEntry, CommandEntry, Document, Entry, RetryEntry},
};

/// One attempt of a step, unless the definition says otherwise: far above any healthy answer, and as long as an order
/// waits whose participant died with the command in hand.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a pending step waits for someone outside: what banks give a buyer for 3-D Secure.
const PENDING_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// What a command is written like.
pub const COMMAND_FORM: &str = "write `service.verb_noun`, in lower-case letters, digits, `_` and `-`";

/// A definition that `is_released` was in order for the build that stored it, and its text can not be changed any more: what has been a mistake
/// only since then is left as it is.
pub(super) fn parse(
    yaml: &str,
    known: &dyn Fn(&str) -> Known,
    is_released: bool,
) -> Result<Definition, DefinitionError> {
    let tree = located::parse(yaml).map_err(|problem| DefinitionError { problems: vec![problem] })?;
    let mut problems = Vec::new();
    let repeated: Vec<At<String>> = tree.repeated_keys().into_iter().cloned().collect();
    let document = yaml::read(tree, &mut problems);
    let mut check = Check::new(known, problems, is_released);
    check.repeated(repeated);
    let definition = document.map(|document| check.definition(document));
    match definition {
        Some(definition) if check.problems.is_empty() => Ok(definition),
        Some(_) | None => {
            check.problems.sort_by_key(|problem| problem.place);
            Err(DefinitionError { problems: check.problems })
        }
    }
}

struct Check<'a> {
    /// What is known of a command.
    known_command: &'a dyn Fn(&str) -> Known,
    is_released: bool,
    problems: Vec<Problem>,
    /// The step that is being read, as problems name it.
    step: String,
    /// Every name in the file, to tell a step that comes too late from one that does not exist.
    names: BTreeSet<String>,
    /// Names that inputs may read: `input`, and the steps before the current stage.
    known: BTreeSet<String>,
    /// Those of them whose output may be absent, since the step may be skipped.
    skippable: BTreeSet<String>,
    /// Names of the stage that is being read: known from the next stage on.
    stage: Vec<String>,
    signals: BTreeSet<String>,
    pivot: Option<usize>,
}

impl<'a> Check<'a> {
    fn new(known_command: &'a dyn Fn(&str) -> Known, problems: Vec<Problem>, is_released: bool) -> Self {
        Self {
            known_command,
            is_released,
            problems,
            step: String::new(),
            names: BTreeSet::new(),
            known: BTreeSet::from(["input".to_owned()]),
            skippable: BTreeSet::new(),
            stage: Vec::new(),
            signals: BTreeSet::new(),
            pivot: None,
        }
    }

    fn complain(&mut self, place: Place, problem: impl Into<String>) {
        let step = Some(self.step.clone()).filter(|step| !step.is_empty());
        self.problems.push(Problem { place, step, problem: problem.into() });
    }

    /// Keys that stand twice where any JSON may stand: only one of them could count. Of a map of known fields they are told already.
    fn repeated(&mut self, keys: Vec<At<String>>) {
        for key in keys {
            let is_told = self.problems.iter().any(|problem| problem.place == key.place);
            if !is_told && !self.is_released {
                self.complain(key.place, format!("`{}` stands here twice: keep one", key.value));
            }
        }
    }

    fn definition(&mut self, document: Document) -> Definition {
        let (saga, version) = (document.saga, document.version);
        if !is_name(&saga.value) && !saga.value.is_empty() {
            self.complain(saga.place, format!("`{}` is no name: {NAME_FORM}", saga.value));
        }
        if version.value == 0 {
            self.complain(version.place, "versions begin with 1");
        }
        if i32::try_from(version.value).is_err() {
            self.complain(version.place, "versions end with 2147483647");
        }
        self.names = document.steps.iter().flat_map(names_of).map(str::to_owned).collect();
        let mut steps = Vec::new();
        let mut stages = Vec::new();
        for entry in document.steps {
            let start = steps.len();
            match entry {
                Entry::Group(members) => self.group(members, &mut steps),
                Entry::Command(_) | Entry::Await(_) => self.step(entry, &mut steps, false),
            }
            self.known.extend(self.stage.drain(..));
            stages.push(start..steps.len());
        }
        let finally = document.finally.map(|entry| {
            self.step = FINALLY.to_owned();
            self.command(entry, false)
        });
        Definition { name: saga.value, version: version.value, steps, stages, pivot: self.pivot, finally }
    }

    fn group(&mut self, members: At<Vec<Entry>>, steps: &mut Vec<Step>) {
        self.step.clear();
        // An empty one is told by whoever read it.
        if members.value.len() == 1 {
            self.complain(
                members.place,
                "a parallel group has two members at least: write a lone step without `parallel`",
            );
        }
        for member in members.value {
            match member {
                Entry::Group(inner) => {
                    self.step.clear();
                    self.complain(inner.place, "a parallel group holds steps, not groups: write one list");
                }
                Entry::Command(_) | Entry::Await(_) => self.step(member, steps, true),
            }
        }
    }

    fn step(&mut self, entry: Entry, steps: &mut Vec<Step>, in_group: bool) {
        let (name, when, pivot) = match &entry {
            Entry::Command(entry) => (entry.name.clone(), entry.when.clone(), entry.pivot),
            Entry::Await(entry) => (entry.name.clone(), entry.when.clone(), None),
            Entry::Group(_) => return,
        };
        self.step.clone_from(&name.value);
        self.name(&name);
        if let Some(place) = pivot {
            if self.pivot.is_some() {
                self.complain(place, "there is a pivot already: a saga has one point of no return");
            }
            if in_group {
                self.complain(place, "the pivot stands alone: take it out of the group");
            }
            self.pivot = self.pivot.or(Some(steps.len()));
        }
        let when = when.and_then(|when| self.when(&when));
        let kind = match entry {
            Entry::Command(entry) => StepKind::Command(self.command(entry, self.pivot.is_some())),
            Entry::Await(entry) => StepKind::Await(self.signal(entry)),
            Entry::Group(_) => return,
        };
        let step = Step { name: name.value, when, kind };
        if step.may_be_skipped() {
            self.skippable.insert(step.name.clone());
        }
        self.stage.push(step.name.clone());
        steps.push(step);
    }

    fn name(&mut self, name: &At<String>) {
        if name.value.is_empty() {
            // Told by whoever read it.
        } else if !is_name(&name.value) {
            self.complain(name.place, format!("it is no name: {NAME_FORM}"));
        } else if name.value == FINALLY || name.value == "input" {
            self.complain(
                name.place,
                format!("`input` and `{FINALLY}` have a meaning of their own: choose another name"),
            );
        } else if self.known.contains(&name.value) || self.stage.contains(&name.value) {
            self.complain(name.place, "an earlier step has this name: choose another one");
        }
    }

    fn command(&mut self, entry: CommandEntry, committed: bool) -> CommandStep {
        let is_finally = self.step == FINALLY;
        self.is_command(&entry.command, Known::Action);
        for (command, way) in [(&entry.compensate, Known::Undo), (&entry.pending, Known::Action)] {
            if let Some(command) = command {
                self.is_command(command, way);
            }
        }
        if let Some(compensate) = entry.compensate.as_ref().filter(|_| committed) {
            self.complain(compensate.place, "nothing is undone from the pivot on: leave `compensate` out");
        }
        let input = Input::of(entry.input.iter().filter_map(|(name, value)| self.field(name, value)).collect());
        let output = entry.output.and_then(|schema| self.output(&schema));
        let base = if committed || is_finally { Retry::NO_WAY_BACK } else { Retry::FORWARD };
        CommandStep {
            command: entry.command.value,
            compensate: entry.compensate.map(|command| command.value),
            pending: entry.pending.map(|command| command.value),
            pending_deadline: self.duration("pending_deadline", entry.pending_deadline, PENDING_DEADLINE),
            input,
            output,
            timeout: self.duration("timeout", entry.timeout, TIMEOUT),
            retry: self.retry(entry.retry, base),
            undo_retry: Retry::NO_WAY_BACK,
            stuck_after: entry.stuck_after.map(|text| self.duration("stuck_after", Some(text), Duration::ZERO)),
        }
    }

    fn is_command(&mut self, command: &At<String>, stands_for: Known) {
        let text = &command.value;
        if text.is_empty() {
            // Told by whoever read it.
            return;
        }
        if !is_command(text) {
            self.complain(command.place, format!("`{text}` is no command: {COMMAND_FORM}"));
            return;
        }
        let problem = match (self.known_command)(text) {
            Known::EitherWay => return,
            known if known == stands_for => return,
            Known::Not => "is no known command: mend it, or name those of your own participants with --commands",
            Known::Undo => "undoes something: it stands under `compensate`, of the step that it undoes",
            Known::Action => {
                "does something, and undoes nothing: under `compensate` stands what makes the step good again"
            }
        };
        self.complain(command.place, format!("`{text}` {problem}"));
    }

    fn output(&mut self, schema: &At<Value>) -> Option<OutputSchema> {
        OutputSchema::parse(&schema.value)
            .map_err(|error| self.complain(schema.place, format!("`output`: {error}")))
            .ok()
    }

    fn signal(&mut self, entry: AwaitEntry) -> AwaitStep {
        let signal = entry.signal;
        if !is_name(&signal.value) && !signal.value.is_empty() {
            self.complain(signal.place, format!("the signal `{}` is no name: {NAME_FORM}", signal.value));
        }
        if !self.signals.insert(signal.value.clone()) {
            self.complain(
                signal.place,
                format!("`{}` is awaited already, and a signal comes once: choose another name", signal.value),
            );
        }
        let deadline = match entry.deadline {
            None => {
                self.complain(
                    entry.name.place,
                    "an await needs a deadline: write `deadline: 15m`, or a path to a time such as `$.step.expires_at`",
                );
                Deadline::After(Duration::ZERO)
            }
            Some(text) if text.value.starts_with('$') => Deadline::At(self.path(&text)),
            Some(text) => Deadline::After(self.duration("deadline", Some(text), Duration::ZERO)),
        };
        let on_deadline = self.on_deadline(entry.name.place, entry.on_deadline);
        let output = entry.output.and_then(|schema| self.output(&schema));
        AwaitStep { signal: signal.value, output, deadline, on_deadline }
    }

    fn on_deadline(&mut self, step: Place, text: Option<At<String>>) -> OnDeadline {
        const CHOICES: &str = "write `on_deadline: compensate`, `continue` or `park`";
        let Some(text) = text else {
            self.complain(step, format!("an await says what happens when its time is over: {CHOICES}"));
            return OnDeadline::Park;
        };
        let on_deadline = match text.value.as_str() {
            "compensate" => OnDeadline::Compensate,
            "continue" => OnDeadline::Continue,
            "park" => OnDeadline::Park,
            other => {
                self.complain(text.place, format!("`{other}` is nothing that can happen: {CHOICES}"));
                OnDeadline::Park
            }
        };
        if self.pivot.is_some() && on_deadline == OnDeadline::Compensate {
            self.complain(text.place, "after the pivot there is no way back: write `continue` or `park`");
        }
        on_deadline
    }

    fn duration(&mut self, field: &str, text: Option<At<String>>, default: Duration) -> Duration {
        let Some(text) = text else { return default };
        match duration::parse(&text.value) {
            Some(duration) if !duration.is_zero() => duration,
            Some(_) | None => {
                self.complain(
                    text.place,
                    format!(
                        "{field} `{}`: write a whole number and ms, s, m, h or d, such as `30s`, and 36500d at most",
                        text.value
                    ),
                );
                default
            }
        }
    }

    fn retry(&mut self, entry: RetryEntry, base: Retry) -> Retry {
        for (field, number) in [("attempts", &entry.attempts), ("factor", &entry.factor)] {
            if let Some(at) = number.as_ref().filter(|at| at.value == 0) {
                self.complain(at.place, format!("retry: {field} is 1 at least"));
            }
        }
        Retry {
            attempts: entry.attempts.map_or(base.attempts, |at| at.value),
            initial: self.duration("retry: initial", entry.initial, base.initial),
            factor: entry.factor.map_or(base.factor, |at| at.value),
            max: self.duration("retry: max", entry.max, base.max),
        }
    }
}

fn names_of(entry: &Entry) -> Vec<&str> {
    match entry {
        Entry::Command(entry) => vec![&entry.name.value],
        Entry::Await(entry) => vec![&entry.name.value],
        Entry::Group(members) => members.value.iter().flat_map(names_of).collect(),
    }
}

/// What a name is written like.
const NAME_FORM: &str = "write lower-case letters, digits, `_` and `-`, a letter first, 64 at most";

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-')
}

/// Whether a text is written as a command is: [`COMMAND_FORM`].
pub fn is_command(text: &str) -> bool {
    text.split_once('.').is_some_and(|(service, verb)| is_name(service) && is_name(verb))
}

#[cfg(test)]
mod tests;
