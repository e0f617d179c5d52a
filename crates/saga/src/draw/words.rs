//! What stands in a step's box, whatever draws it.

use crate::{
    definition::{Deadline, Definition, OnDeadline, StepKind},
    state::{State, Status},
};

/// The point after which nothing is undone.
pub(super) const NO_RETURN: &str = "point of no return";
pub(super) const AT_ONCE: &str = "at the same time";

/// The name, then what the step does, one line each. `finally` is one past the last step.
pub(super) fn lines(definition: &Definition, index: usize) -> Vec<String> {
    let mut lines = vec![definition.name_of(index).to_owned()];
    let Some(step) = definition.steps.get(index) else {
        lines.extend(definition.finally.iter().map(|command| command.command.clone()));
        return lines;
    };
    match &step.kind {
        StepKind::Command(command) => {
            lines.push(command.command.clone());
            lines.extend(command.pending.iter().map(|pending| format!("while pending: {pending}")));
        }
        StepKind::Await(awaited) => {
            let (limit, then) = (deadline(&awaited.deadline), on_deadline(awaited.on_deadline));
            lines.push(format!("waits for {}", awaited.signal));
            lines.push(limit);
            lines.push(format!("then {then}"));
        }
    }
    lines.extend(step.when.iter().map(|when| format!("when {when}")));
    lines
}

/// Whether the step only waits.
pub(super) fn is_await(definition: &Definition, index: usize) -> bool {
    definition.steps.get(index).is_some_and(|step| matches!(step.kind, StepKind::Await(_)))
}

fn deadline(deadline: &Deadline) -> String {
    match deadline {
        Deadline::After(duration) => format!("for {}", crate::definition::duration_text(*duration)),
        Deadline::At(path) => format!("until {path}"),
    }
}

const fn on_deadline(on_deadline: OnDeadline) -> &'static str {
    match on_deadline {
        OnDeadline::Compensate => "undoes everything",
        OnDeadline::Continue => "goes on",
        OnDeadline::Park => "parks",
    }
}

/// How a step stands: its word, and the colours of its box (dark text is readable on each of them, and the word says the
/// same to whoever sees no colours).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) word: &'static str,
    pub(super) fill: &'static str,
    pub(super) border: &'static str,
}

const WELL: (&str, &str) = ("#d3f0d8", "#2b7a3d");
const UNDER_WAY: (&str, &str) = ("#d6e6fb", "#2660a8");
const WAITS: (&str, &str) = ("#fbefc9", "#96700c");
const BAD: (&str, &str) = ("#fad7d7", "#b32626");
const BACK: (&str, &str) = ("#f4ddf3", "#8a3a86");
const OUT: (&str, &str) = ("#e8e8e8", "#7a7a7a");

/// How a step stands; nothing is said of one that has not begun.
pub(super) fn standing(definition: &Definition, state: &State, index: usize) -> Option<Standing> {
    let (word, (fill, border)) = match state.steps.get(index)?.status {
        _ if state.is_for_a_person(definition, index) => ("parked", BAD),
        Status::Idle => return None,
        Status::Sent => ("sent", UNDER_WAY),
        Status::Retrying => ("sent again soon", UNDER_WAY),
        Status::Pending => ("pending", WAITS),
        Status::Waiting => ("waiting", WAITS),
        Status::Done => ("done", WELL),
        Status::Refused => ("refused", BAD),
        Status::Unknown => ("outcome unknown", BAD),
        Status::Skipped => ("skipped", OUT),
        Status::DoneAnyway => ("skipped, but done", BAD),
        Status::Undoing => ("being undone", BACK),
        Status::UndoRetrying => ("undone again soon", BACK),
        Status::Undone => ("undone", BACK),
    };
    Some(Standing { word, fill, border })
}
