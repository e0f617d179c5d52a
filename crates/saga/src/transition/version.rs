//! Moving a saga to another version of its definition: only one that stands still, and only to a version in which what it
//! has done means the same.

use serde_json::Value;

use super::{Transition, Verdict};
use crate::{
    definition::{Definition, compatibility::reasons_against},
    state::{Condition, Phase, State, Status, StepState},
};

/// Puts a saga of the version `from` on the version `to`. Nothing is sent by it.
pub fn move_version(from: &Definition, to: &Definition, state: State) -> Transition {
    match reason_against(from, to, &state) {
        Some(why) => Transition { state, effects: Vec::new(), verdict: Verdict::Refused(why), logged: None },
        None => {
            Transition { state: remapped(from, to, state), effects: Vec::new(), verdict: Verdict::Moved, logged: None }
        }
    }
}

fn reason_against(from: &Definition, to: &Definition, state: &State) -> Option<String> {
    match state.condition() {
        Condition::Completed | Condition::Compensated => return Some("the saga has ended".to_owned()),
        Condition::Running | Condition::Compensating | Condition::Finishing => {
            return Some("the saga is on its way: only one that waits, is paused or is parked can be moved".to_owned());
        }
        Condition::Waiting | Condition::Paused | Condition::Parked => {}
    }
    if let Some(why) = state.cannot_begin(from) {
        return Some(why);
    }
    if from.name == to.name && from.version == to.version {
        return Some(format!("the saga is on version {} already", to.version));
    }
    if state.phase == Phase::Finally {
        return Some("every step is decided: there is nothing left that another version could change".to_owned());
    }
    let mut reasons = reasons_against(from, to, &begun(from, state));
    reasons.extend(missed_outputs(from, to, state));
    reasons.extend(misshapen_outputs(from, to, state));
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Steps that were passed over and have no output, of which the other version is sure to have one.
fn missed_outputs(from: &Definition, to: &Definition, state: &State) -> Vec<String> {
    if state.phase != Phase::Forward {
        return Vec::new();
    }
    let was_passed = |index: &usize| {
        matches!(state.steps[*index].status, Status::Skipped | Status::DoneAnyway)
            && state.context.get(from.name_of(*index)).is_none_or(Value::is_null)
    };
    // The check has seen to it for steps that may be skipped there too.
    let is_sure = |name: &str| to.steps.iter().any(|step| step.name == name && !step.may_be_skipped());
    (0..from.steps.len())
        .filter(was_passed)
        .map(|index| from.name_of(index))
        .filter(|name| is_sure(name) && to.counts_on(name))
        .map(|name| format!("`{name}` was skipped and has no output, and version {} counts on one", to.version))
        .collect()
}

/// Outputs that were kept, and do not look as they must in the other version, whose later steps rely on that.
fn misshapen_outputs(from: &Definition, to: &Definition, state: &State) -> Vec<String> {
    if state.phase != Phase::Forward {
        return Vec::new();
    }
    let misshapen = |index: usize| {
        let name = from.name_of(index);
        let schema = to.output_at(to.index_of(name)?)?;
        let output = state.context.get(name).filter(|output| !output.is_null())?;
        let why = schema.check(output).err()?;
        Some(format!("what `{name}` put out does not match its schema in version {}: {why}", to.version))
    };
    begun(from, state).into_iter().filter_map(misshapen).collect()
}

fn begun(from: &Definition, state: &State) -> Vec<usize> {
    (0..from.steps.len()).filter(|index| state.steps[*index].status != Status::Idle).collect()
}

/// The steps that have begun, under the places that they have in the other version. Their stages are the same.
fn remapped(from: &Definition, to: &Definition, mut state: State) -> State {
    let mut steps = vec![StepState::default(); to.steps.len() + 1];
    for index in begun(from, &state) {
        if let Some(there) = to.index_of(from.name_of(index)) {
            steps[there] = state.steps[index].clone();
        }
    }
    state.steps = steps;
    state
}
