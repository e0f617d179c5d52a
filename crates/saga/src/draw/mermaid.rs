//! A definition as a Mermaid flowchart, as code hosts and wikis show it.

use super::words::{self, Standing};
use crate::{definition::Definition, state::State};

/// `flowchart TD`: steps downwards, undoing upwards beside them.
pub fn mermaid(definition: &Definition, state: Option<&State>) -> String {
    let mut lines = vec!["flowchart TD".to_owned()];
    lines.push(format!("  start([\"{} v{}\"])", quoted(&definition.name), definition.version));
    for (number, stage) in definition.stages.iter().enumerate() {
        if stage.len() > 1 {
            lines.push(format!("  subgraph g{number}[\"{}\"]", words::AT_ONCE));
        }
        lines.extend(stage.clone().map(|index| node(definition, state, index)));
        if stage.len() > 1 {
            lines.push("  end".to_owned());
        }
    }
    if definition.finally.is_some() {
        lines.push(node(definition, state, definition.steps.len()));
    }
    lines.push("  finish([\"completed\"])".to_owned());
    lines.extend(forward(definition));
    lines.extend(backward(definition));
    lines.extend(definition.pivot.map(|pivot| format!("  style s{pivot} stroke-width:3px")));
    lines.extend(colours(definition, state));
    lines.join("\n") + "\n"
}

fn node(definition: &Definition, state: Option<&State>, index: usize) -> String {
    let mut text: Vec<String> = words::lines(definition, index).iter().map(|line| quoted(line)).collect();
    text.extend(
        state.and_then(|state| words::standing(definition, state, index)).map(|standing| standing.word.to_owned()),
    );
    let text = text.join("<br/>");
    if words::is_await(definition, index) {
        format!("    s{index}{{{{\"{text}\"}}}}")
    } else {
        format!("    s{index}[\"{text}\"]")
    }
}

/// The arrows of the way forward; the one that leaves the pivot says so.
fn forward(definition: &Definition) -> Vec<String> {
    let mut from = "start".to_owned();
    let mut arrows = Vec::new();
    let mut follow = |to: String, is_pivot: bool, arrows: &mut Vec<String>| {
        let arrow = if is_pivot { format!("== \"{}\" ==>", words::NO_RETURN) } else { "-->".to_owned() };
        arrows.push(format!("  {from} {arrow} {to}"));
        from = to;
    };
    let mut leaves_pivot = false;
    for (number, stage) in definition.stages.iter().enumerate() {
        let to = if stage.len() > 1 { format!("g{number}") } else { format!("s{}", stage.start) };
        follow(to, leaves_pivot, &mut arrows);
        leaves_pivot = definition.pivot == Some(stage.start);
    }
    if definition.finally.is_some() {
        follow(format!("s{}", definition.steps.len()), leaves_pivot, &mut arrows);
        leaves_pivot = false;
    }
    follow("finish".to_owned(), leaves_pivot, &mut arrows);
    arrows
}

/// The commands that undo, each beside its step, and the arrows of the way back.
fn backward(definition: &Definition) -> Vec<String> {
    let mut drawn = Vec::new();
    let mut previous: Option<usize> = None;
    for index in (0..definition.steps.len()).rev() {
        let Some(undo) = definition.command_at(index).and_then(|command| command.compensate.as_ref()) else { continue };
        drawn.push(format!("  u{index}([\"{}\"])", quoted(undo)));
        drawn.push(format!("  s{index} -.- u{index}"));
        drawn.extend(previous.map(|previous| format!("  u{previous} -.-> u{index}")));
        previous = Some(index);
    }
    if let Some(last) = previous {
        drawn.push("  undone([\"compensated\"])".to_owned());
        drawn.push(format!("  u{last} -.-> undone"));
    }
    drawn
}

fn colours(definition: &Definition, state: Option<&State>) -> Vec<String> {
    let Some(state) = state else { return Vec::new() };
    let style = |index: usize, standing: Standing| {
        format!("  style s{index} fill:{},stroke:{},color:#1a1a1a", standing.fill, standing.border)
    };
    (0..=definition.steps.len())
        .filter(|index| *index < definition.steps.len() || definition.finally.is_some())
        .filter_map(|index| Some(style(index, words::standing(definition, state, index)?)))
        .collect()
}

/// Text within the quotes of a node.
fn quoted(text: &str) -> String {
    // A `%%` begins a comment or a directive, also here.
    text.replace('#', "#35;")
        .replace('%', "#37;")
        .replace('&', "#amp;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}
