//! The shape of the YAML: which fields there are, and of which type. Every mistake is noted and reading goes on.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    located::{At, Located, Node},
    problem::{Place, Problem},
};

/// The fields of each kind of map; the JSON Schema names the same ones.
pub(super) const DOCUMENT: &[&str] = &["saga", "version", "description", "steps", "finally"];
pub(super) const COMMAND_STEP: &[&str] = &[
    "step",
    "when",
    "command",
    "compensate",
    "pending",
    "pending_deadline",
    "input",
    "output",
    "timeout",
    "retry",
    "stuck_after",
    "pivot",
];
pub(super) const AWAIT_STEP: &[&str] = &["step", "when", "await", "output", "deadline", "on_deadline"];
pub(super) const GROUP: &[&str] = &["parallel"];
pub(super) const FINALLY_STEP: &[&str] = &["command", "input", "timeout", "retry", "stuck_after"];
pub(super) const RETRY: &[&str] = &["attempts", "initial", "factor", "max"];

#[derive(Debug)]
pub(super) struct Document {
    pub(super) saga: At<String>,
    pub(super) version: At<u32>,
    pub(super) steps: Vec<Entry>,
    pub(super) finally: Option<CommandEntry>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a definition has a few of them, once")]
pub(super) enum Entry {
    Command(CommandEntry),
    Await(AwaitEntry),
    Group(At<Vec<Entry>>),
}

#[derive(Debug)]
pub(super) struct CommandEntry {
    pub(super) name: At<String>,
    pub(super) when: Option<At<Value>>,
    pub(super) command: At<String>,
    pub(super) compensate: Option<At<String>>,
    pub(super) pending: Option<At<String>>,
    pub(super) pending_deadline: Option<At<String>>,
    pub(super) input: Vec<(String, At<Value>)>,
    pub(super) output: Option<At<Value>>,
    pub(super) timeout: Option<At<String>>,
    pub(super) retry: RetryEntry,
    pub(super) stuck_after: Option<At<String>>,
    /// Where it says so.
    pub(super) pivot: Option<Place>,
}

#[derive(Debug)]
pub(super) struct AwaitEntry {
    pub(super) name: At<String>,
    pub(super) when: Option<At<Value>>,
    pub(super) signal: At<String>,
    pub(super) output: Option<At<Value>>,
    pub(super) deadline: Option<At<String>>,
    pub(super) on_deadline: Option<At<String>>,
}

#[derive(Debug, Default)]
pub(super) struct RetryEntry {
    pub(super) attempts: Option<At<u32>>,
    pub(super) initial: Option<At<String>>,
    pub(super) factor: Option<At<u32>>,
    pub(super) max: Option<At<String>>,
}

/// Reads the whole file. Nothing comes back when it is not a map of fields at all.
pub(super) fn read(tree: Located, problems: &mut Vec<Problem>) -> Option<Document> {
    let mut fields = Fields::of(tree, None, "a definition", problems)?;
    let saga =
        fields.text("saga").unwrap_or_else(|| fields.missing("saga", "a name such as `checkout`", String::new()));
    let version =
        fields.number("version").unwrap_or_else(|| fields.missing("version", "a whole number; it begins with 1", 1));
    fields.text("description");
    let steps = fields.list("steps").unwrap_or_else(|| fields.missing("steps", "a list of steps", Vec::new()));
    let finally = fields.take("finally");
    fields.finish(DOCUMENT);
    let steps = steps.value.into_iter().filter_map(|entry| read_entry(entry, problems)).collect();
    let finally = finally.and_then(|tree| read_finally(tree, problems));
    Some(Document { saga, version, steps, finally })
}

/// A step, an await or a parallel group: which one is told by the fields that are there.
fn read_entry(tree: Located, problems: &mut Vec<Problem>) -> Option<Entry> {
    let mut fields = Fields::of(tree, None, "a step", problems)?;
    if fields.has("parallel") {
        let members = fields.list("parallel").unwrap_or_else(|| At { place: fields.place, value: Vec::new() });
        fields.finish(GROUP);
        return Some(Entry::Group(
            members.map(|members| members.into_iter().filter_map(|member| read_entry(member, problems)).collect()),
        ));
    }
    let name = fields.text("step").unwrap_or_else(|| fields.missing("step", "a name of its own", String::new()));
    fields.step = Some(name.value.clone()).filter(|name| !name.is_empty());
    if fields.has("await") && fields.has("command") {
        fields.complain("it has both `command` and `await`: make it two steps");
        return None;
    }
    if fields.has("await") {
        let signal =
            fields.text("await").unwrap_or_else(|| fields.missing("await", "the signal's name", String::new()));
        let entry = AwaitEntry {
            when: fields.json("when"),
            output: fields.json("output"),
            deadline: fields.text("deadline"),
            on_deadline: fields.text("on_deadline"),
            name,
            signal,
        };
        fields.finish(AWAIT_STEP);
        return Some(Entry::Await(entry));
    }
    Some(Entry::Command(read_command(fields, name, COMMAND_STEP)))
}

fn read_finally(tree: Located, problems: &mut Vec<Problem>) -> Option<CommandEntry> {
    let name = At { place: tree.place, value: super::FINALLY.to_owned() };
    let fields = Fields::of(tree, Some(name.value.clone()), "`finally`", problems)?;
    Some(read_command(fields, name, FINALLY_STEP))
}

/// The fields of a step that a participant does; `known` are those that this place allows.
fn read_command(mut fields: Fields<'_>, name: At<String>, known: &[&str]) -> CommandEntry {
    if !fields.has("command") {
        let place = fields.place;
        fields.complain_at(
            place,
            "write `command: service.verb_noun`, or `await: signal`, or `parallel:` and a list of steps",
        );
    }
    let command = fields.text("command").unwrap_or(At { place: fields.place, value: String::new() });
    let input = fields.map("input").into_iter().map(|(key, value)| (key.value, value.json())).collect();
    let mut entry = CommandEntry {
        name,
        command,
        when: None,
        compensate: None,
        pending: None,
        pending_deadline: None,
        input,
        output: None,
        timeout: fields.text("timeout"),
        retry: RetryEntry::default(),
        stuck_after: fields.text("stuck_after"),
        pivot: None,
    };
    if known == COMMAND_STEP {
        entry.when = fields.json("when");
        entry.compensate = fields.text("compensate");
        entry.pending = fields.text("pending");
        entry.pending_deadline = fields.text("pending_deadline");
        entry.output = fields.json("output");
        entry.pivot = fields.flag("pivot").filter(|is| is.value).map(|is| is.place);
    }
    let retry = fields.take("retry");
    let step = fields.step.clone();
    let problems = fields.finish(known);
    if let Some(mut fields) = retry.and_then(|tree| Fields::of(tree, step, "`retry`", problems)) {
        entry.retry = RetryEntry {
            attempts: fields.number("attempts"),
            initial: fields.text("initial"),
            factor: fields.number("factor"),
            max: fields.text("max"),
        };
        fields.finish(RETRY);
    }
    entry
}

/// A map whose fields are taken one by one; what is left in the end is unknown.
struct Fields<'a> {
    place: Place,
    step: Option<String>,
    entries: Vec<(At<String>, Located)>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Fields<'a> {
    fn of(tree: Located, step: Option<String>, what: &str, problems: &'a mut Vec<Problem>) -> Option<Self> {
        let (place, kind) = (tree.place, tree.kind());
        if let Node::Map(entries) = tree.value {
            return Some(Self { place, step, entries, problems });
        }
        problems.push(Problem { place, step, problem: format!("{what} is a map of fields, and here is {kind}") });
        None
    }

    fn complain_at(&mut self, place: Place, problem: impl Into<String>) {
        self.problems.push(Problem { place, step: self.step.clone(), problem: problem.into() });
    }

    fn complain(&mut self, problem: impl Into<String>) {
        self.complain_at(self.place, problem);
    }

    fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key.value == name)
    }

    fn take(&mut self, name: &str) -> Option<Located> {
        let place = self.entries.iter().position(|(key, _)| key.value == name)?;
        let (_, value) = self.entries.remove(place);
        while let Some(again) = self.entries.iter().position(|(key, _)| key.value == name) {
            let (key, _) = self.entries.remove(again);
            self.complain_at(key.place, format!("`{name}` stands here twice: keep one"));
        }
        Some(value)
    }

    /// A field of one type; another type is a problem, and something harmless stands in for it.
    fn typed<T>(
        &mut self,
        name: &str,
        expected: &str,
        instead: T,
        read: impl FnOnce(Node) -> Option<T>,
    ) -> Option<At<T>> {
        let tree = self.take(name)?;
        let (place, kind) = (tree.place, tree.kind());
        let value = read(tree.value).unwrap_or_else(|| {
            self.complain_at(place, format!("`{name}` is {expected}, and here is {kind}"));
            instead
        });
        Some(At { place, value })
    }

    fn text(&mut self, name: &str) -> Option<At<String>> {
        self.typed(name, "text", String::new(), |node| match node {
            Node::Text(text) => Some(text),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) | Node::Map(_) => None,
        })
    }

    fn number(&mut self, name: &str) -> Option<At<u32>> {
        self.typed(name, "a whole number from 1 to 4294967295", 1, |node| match node {
            Node::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
            Node::Null | Node::Bool(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
        })
    }

    fn flag(&mut self, name: &str) -> Option<At<bool>> {
        self.typed(name, "`true` or `false`", false, |node| match node {
            Node::Bool(is) => Some(is),
            Node::Null | Node::Number(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
        })
    }

    fn list(&mut self, name: &str) -> Option<At<Vec<Located>>> {
        self.typed(name, "a list with something in it", Vec::new(), |node| match node {
            Node::List(items) if !items.is_empty() => Some(items),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
        })
    }

    /// A map of names of the author's own choice.
    fn map(&mut self, name: &str) -> Vec<(At<String>, Located)> {
        let entries = self.typed(name, "a map of fields", Vec::new(), |node| match node {
            Node::Map(entries) => Some(entries),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) => None,
        });
        let entries = entries.map_or_else(Vec::new, |entries| entries.value);
        let mut seen = HashSet::new();
        for (key, _) in &entries {
            if key.value.is_empty() {
                self.complain_at(key.place, format!("a field of {name} has a name"));
            }
            if !seen.insert(key.value.as_str()) {
                self.complain_at(key.place, format!("{name} `{}` stands here twice: keep one", key.value));
            }
        }
        entries
    }

    fn json(&mut self, name: &str) -> Option<At<Value>> {
        self.take(name).map(|tree| tree.json())
    }

    /// Notes that a field is missing, and goes on with something harmless.
    fn missing<T>(&mut self, name: &str, what: &str, instead: T) -> At<T> {
        self.complain(format!("`{name}` is missing: {what}"));
        At { place: self.place, value: instead }
    }

    /// Tells the fields that nobody took.
    fn finish(mut self, known: &[&str]) -> &'a mut Vec<Problem> {
        for (key, _) in std::mem::take(&mut self.entries) {
            let known = known.join("`, `");
            self.complain_at(key.place, format!("`{}` is no field of this; there are `{known}`", key.value));
        }
        self.problems
    }
}

impl Located {
    fn json(&self) -> At<Value> {
        At { place: self.place, value: self.to_json() }
    }
}
