//! Holding what happened against what was expected.

use serde_json::Value;

use super::{play::Played, script::Expectation};
use crate::state::Status;

/// What was expected and did not happen, one sentence each.
pub(super) fn misses(expected: &Expectation, played: &Played<'_>) -> Vec<String> {
    let mut misses = Vec::new();
    let state = played.state.condition().as_str();
    if expected.state != state {
        let why = played.state.parked.as_ref().map(|parked| format!(": `{}`: {}", parked.step, parked.why));
        misses.push(format!("state: expected {}, and it is {state}{}", expected.state, why.unwrap_or_default()));
    }
    let reason = played.state.reasons.first().map(|reason| reason.code.as_str());
    if expected.reason.is_some() && expected.reason.as_deref() != reason {
        misses.push(format!("reason: expected {}, and it is {}", told(expected.reason.as_deref()), told(reason)));
    }
    let parked = played.state.parked.as_ref().map(|parked| parked.step.as_str());
    if expected.parked.is_some() && expected.parked.as_deref() != parked {
        misses.push(format!("parked: expected {}, and it is {}", told(expected.parked.as_deref()), told(parked)));
    }
    let definition = played.definition;
    let skipped = (0..definition.steps.len()).filter(|index| played.state.steps[*index].status == Status::Skipped);
    let skipped: Vec<String> = skipped.map(|index| definition.name_of(index).to_owned()).collect();
    for (what, expected, steps) in [
        ("sent", &expected.sent, &played.sent),
        ("undone", &expected.undone, &played.undone),
        ("skipped", &expected.skipped, &skipped),
    ] {
        if let Some(expected) = expected.as_ref().filter(|expected| *expected != steps) {
            misses.push(format!("{what}: expected [{}], and it is [{}]", expected.join(", "), steps.join(", ")));
        }
    }
    misses.extend(refusals(expected, played));
    for (step, fields) in &expected.inputs {
        let sent = played.inputs.get(step);
        if sent.is_none() && fields.is_empty() {
            misses.push(format!("inputs: `{step}` was never sent"));
        }
        for (field, value) in fields {
            let found = sent.and_then(|sent| sent.get(field));
            if found != Some(value) {
                let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
                misses.push(format!("inputs: `{field}` of `{step}`: expected {value}, and it is {found}"));
            }
        }
    }
    misses
}

/// A case whose `then` asks for what cannot be shows something else than its author believes.
fn refusals(expected: &Expectation, played: &Played<'_>) -> Option<String> {
    let refused: Vec<&str> = played.refused.iter().map(|(word, _)| *word).collect();
    let why: Vec<String> =
        played.refused.iter().map(|(word, why)| format!("`{word}` was not possible: {why}")).collect();
    (expected.refused != refused).then(|| match why.as_slice() {
        [] => format!("refused: expected [{}], and all of `then` was possible", expected.refused.join(", ")),
        why => format!("refused: expected [{}], and {}", expected.refused.join(", "), why.join("; ")),
    })
}

fn told(what: Option<&str>) -> &str {
    what.unwrap_or("nothing")
}
