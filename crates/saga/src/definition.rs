//! A definition: a table of steps that can be read aloud, from YAML.

mod check;
pub mod compatibility;
mod duration;
mod input;
mod json_schema;
mod located;
mod output_schema;
mod path;
mod problem;
mod when;
mod yaml;

use std::{ops::Range, time::Duration};

use makegood_contracts::command::Direction;

pub use check::{COMMAND_FORM, is_command};
pub(crate) use duration::{parse as parse_duration, text as duration_text};
pub use input::Input;
pub use json_schema::JSON_SCHEMA;
pub use output_schema::OutputSchema;
pub use problem::{DefinitionError, Place, Problem};
pub use when::When;

/// The name under which the `finally` command is known in keys and logs.
pub const FINALLY: &str = "finally";

/// What stands behind the step's name in the key under which a participant is told that it is pending.
const PENDING_SUFFIX: &str = ".pending";

/// The name in that key: `<step>.pending`.
pub fn pending_name(step: &str) -> String {
    format!("{step}{PENDING_SUFFIX}")
}

/// A checked definition. Made by [`Definition::parse`] only, so whoever holds one may rely on its rules.
#[derive(Debug, Clone)]
pub struct Definition {
    /// `checkout`
    pub name: String,
    pub version: u32,
    pub steps: Vec<Step>,
    /// Steps that run together, as ranges of `steps`, in order. A step that stands alone is a stage of one.
    pub stages: Vec<Range<usize>>,
    /// Index of the step from which there is no way back.
    pub pivot: Option<usize>,
    /// Sent last, whatever the ending, until it is done.
    pub finally: Option<CommandStep>,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub name: String,
    /// Skipped unless it holds when the step is reached; none: always done.
    pub when: Option<When>,
    pub kind: StepKind,
}

#[derive(Debug, Clone)]
pub enum StepKind {
    Command(CommandStep),
    Await(AwaitStep),
}

/// A step that a participant does.
#[derive(Debug, Clone)]
pub struct CommandStep {
    /// `service.verb_noun`
    pub command: String,
    /// Undoes it; none where there is nothing to undo.
    pub compensate: Option<String>,
    /// Told when the step is pending.
    pub pending: Option<String>,
    /// How long the step may stay pending before the saga turns around.
    pub pending_deadline: Duration,
    pub input: Input,
    /// What its output must look like; none: anything.
    pub output: Option<OutputSchema>,
    /// How long one attempt may take.
    pub timeout: Duration,
    pub retry: Retry,
    /// The same for its undo: [`Retry::NO_WAY_BACK`] in every definition, since an undo is never given up.
    pub undo_retry: Retry,
    /// How long it may be out, or being undone, before operators are told that it is stuck; none: what its attempts may take.
    pub stuck_after: Option<Duration>,
}

/// A step that waits for a signal.
#[derive(Debug, Clone)]
pub struct AwaitStep {
    pub signal: String,
    /// What its payload must look like; none: anything.
    pub output: Option<OutputSchema>,
    pub deadline: Deadline,
    pub on_deadline: OnDeadline,
}

#[derive(Debug, Clone)]
pub enum Deadline {
    /// From the moment when the step is reached.
    After(Duration),
    /// An RFC 3339 time in the context.
    At(Input),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeadline {
    Compensate,
    Continue,
    Park,
}

/// How a failed attempt is repeated: `initial · factor^n`, capped at `max`, with full jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    pub attempts: u32,
    pub initial: Duration,
    pub factor: u32,
    pub max: Duration,
}

impl Step {
    /// Whether a saga may go on without it, and so without its output.
    pub fn may_be_skipped(&self) -> bool {
        let passes_without_signal =
            matches!(&self.kind, StepKind::Await(awaited) if awaited.on_deadline == OnDeadline::Continue);
        self.when.is_some() || passes_without_signal
    }
}

impl CommandStep {
    /// How what is sent in this direction is repeated.
    pub const fn retry_of(&self, direction: Direction) -> Retry {
        match direction {
            Direction::Do => self.retry,
            Direction::Undo => self.undo_retry,
        }
    }
}

impl Retry {
    /// Before the pivot: a minute with the default timeout, then the saga turns around.
    pub const FORWARD: Self =
        Self { attempts: 12, initial: Duration::from_millis(200), factor: 2, max: Duration::from_secs(10) };
    /// Undoing, and whatever comes after the pivot: there is no other way, so eight minutes of silence or some twenty-five
    /// of failures, then an operator.
    pub const NO_WAY_BACK: Self =
        Self { attempts: 100, initial: Duration::from_millis(200), factor: 2, max: Duration::from_secs(30) };

    /// The longest delay before the `failures`-th repetition; the engine takes a random part of it.
    pub fn longest_delay(&self, failures: u32) -> Duration {
        let grown = self.factor.saturating_pow(failures.saturating_sub(1).min(20));
        self.initial.saturating_mul(grown).min(self.max)
    }
}

/// What somebody knows of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Not,
    /// It does a step.
    Action,
    /// It makes a step good again.
    Undo,
    /// There is such a command; which way it goes is its participant's affair.
    EitherWay,
}

impl Definition {
    /// Reads and checks a definition; tells everything that is wrong with it.
    pub fn parse(yaml: &str) -> Result<Self, DefinitionError> {
        check::parse(yaml, &|_| Known::EitherWay, false)
    }

    /// Reads a definition that has been released: its text can not be changed any more, so what has come to be called a mistake since then is
    /// left as it is.
    pub fn parse_released(yaml: &str) -> Result<Self, DefinitionError> {
        check::parse(yaml, &|_| Known::EitherWay, true)
    }

    /// Reads and checks a definition, and each command must be known to someone, as what it stands for.
    pub fn parse_knowing(yaml: &str, known: impl Fn(&str) -> Known) -> Result<Self, DefinitionError> {
        check::parse(yaml, &known, false)
    }

    /// Whether this is the name under which a participant is told that one of the steps is pending.
    pub fn tells_pending(&self, name: &str) -> bool {
        let step = name.strip_suffix(PENDING_SUFFIX).and_then(|step| self.index_of(step));
        step.and_then(|index| self.command_at(index)).is_some_and(|command| command.pending.is_some())
    }

    /// Whether a step's input, or a deadline, reads this output and has nothing to put in its place.
    pub fn counts_on(&self, name: &str) -> bool {
        self.steps.iter().any(|step| match &step.kind {
            StepKind::Command(command) => command.input.counts_on(name),
            StepKind::Await(AwaitStep { deadline: Deadline::At(path), .. }) => path.counts_on(name),
            StepKind::Await(_) => false,
        })
    }

    /// The stage that a step belongs to.
    pub fn stage_of(&self, index: usize) -> Option<usize> {
        self.stages.iter().position(|stage| stage.contains(&index))
    }

    /// Index by name; [`FINALLY`] is one past the last step.
    pub fn index_of(&self, step: &str) -> Option<usize> {
        if step == FINALLY && self.finally.is_some() {
            return Some(self.steps.len());
        }
        self.steps.iter().position(|candidate| candidate.name == step)
    }

    /// Index of the step that waits for a signal.
    pub fn index_awaiting(&self, signal: &str) -> Option<usize> {
        self.steps.iter().position(|step| matches!(&step.kind, StepKind::Await(step) if step.signal == signal))
    }

    /// What is said of a signal that no step waits for.
    pub fn awaits_no(&self, signal: &str) -> String {
        let awaited: Vec<String> = self
            .steps
            .iter()
            .filter_map(|step| match &step.kind {
                StepKind::Await(step) => Some(format!("`{}`", step.signal)),
                StepKind::Command(_) => None,
            })
            .collect();
        match awaited.is_empty() {
            true => format!("the definition awaits no signal `{signal}`, nor any other"),
            false => format!("the definition awaits no signal `{signal}`: it awaits {}", awaited.join(", ")),
        }
    }

    /// Name by index, as in [`Definition::index_of`].
    pub fn name_of(&self, index: usize) -> &str {
        self.steps.get(index).map_or(FINALLY, |step| &step.name)
    }

    /// The command step at an index, `finally` included; none for an await.
    pub fn command_at(&self, index: usize) -> Option<&CommandStep> {
        match self.steps.get(index) {
            Some(Step { kind: StepKind::Command(command), .. }) => Some(command),
            Some(Step { kind: StepKind::Await(_), .. }) => None,
            None => self.finally.as_ref(),
        }
    }

    /// The signal that the step at an index waits for; none for a command.
    pub fn signal_at(&self, index: usize) -> Option<&str> {
        match &self.steps.get(index)?.kind {
            StepKind::Await(step) => Some(&step.signal),
            StepKind::Command(_) => None,
        }
    }

    /// What the output of the step at an index must look like; none: anything.
    pub fn output_at(&self, index: usize) -> Option<&OutputSchema> {
        match self.steps.get(index) {
            Some(Step { kind: StepKind::Await(step), .. }) => step.output.as_ref(),
            Some(Step { kind: StepKind::Command(_), .. }) | None => self.command_at(index)?.output.as_ref(),
        }
    }

    /// Whether giving up on the step is no option: the pivot (whose outcome must become known) and what follows it, `finally` always.
    pub fn is_committed(&self, index: usize) -> bool {
        index == self.steps.len() || self.pivot.is_some_and(|pivot| index >= pivot)
    }
}
