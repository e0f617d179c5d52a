//! What an operator can ask of a saga: the action's name, and what it needs beside a reason.
//!
//! The same for one saga and for many: [`super::act`] and [`super::bulk`] send the same fields.

use std::fs;

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::usage::Usage;

/// One action, as on the command line.
pub(crate) trait Operation: clap::Args {
    /// The last word of its path.
    const ACTION: &'static str;
    /// What was done to a saga by it.
    const DONE: &'static str;

    /// The fields of the request beside `reason`. `step` is the saga's current one, or the one that a filter names.
    fn fields(&self, step: Option<&str>) -> anyhow::Result<Map<String, Value>>;
}

/// Actions that need nothing but a reason.
macro_rules! plain {
    ($($name:ident, $action:literal, $done:literal;)*) => {$(
        #[derive(Debug, Clone, clap::Args)]
        pub(crate) struct $name {}

        impl Operation for $name {
            const ACTION: &'static str = $action;
            const DONE: &'static str = $done;

            fn fields(&self, _step: Option<&str>) -> anyhow::Result<Map<String, Value>> {
                Ok(Map::new())
            }
        }
    )*};
}

plain! {
    Retry, "retry", "retried";
    Compensate, "compensate", "turned around";
    Pause, "pause", "paused";
    Resume, "resume", "resumed";
    Cancel, "cancel", "called off";
}

/// An action on one saga's step. Of many sagas it is the filter that names the step, so there they go without this.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AtStep<O: Operation> {
    /// The step; without it, the one at which the saga stands
    #[arg(long)]
    step: Option<String>,
    #[command(flatten)]
    operation: O,
}

impl<O: Operation> Operation for AtStep<O> {
    const ACTION: &'static str = O::ACTION;
    const DONE: &'static str = O::DONE;

    fn fields(&self, step: Option<&str>) -> anyhow::Result<Map<String, Value>> {
        self.operation.fields(self.step.as_deref().or(step))
    }
}

/// What stands for a step's answer.
#[derive(Debug, Clone, clap::Args)]
struct StandIn {
    /// What the step would have answered, as JSON, or @FILE; later steps read it
    #[arg(long, value_name = "JSON", value_parser = parse_json)]
    step_output: Option<Value>,
}

impl StandIn {
    fn fields(&self, step: Option<&str>) -> anyhow::Result<Map<String, Value>> {
        let step = step.ok_or_else(|| Usage("say which step is meant: --step NAME".to_owned()))?;
        let mut fields = Map::from_iter([("step".to_owned(), Value::from(step))]);
        if let Some(output) = &self.step_output {
            fields.insert("output".to_owned(), output.clone());
        }
        Ok(fields)
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Skip {
    #[command(flatten)]
    stand_in: StandIn,
}

impl Operation for Skip {
    const ACTION: &'static str = "skip";
    const DONE: &'static str = "went on without the step";

    fn fields(&self, step: Option<&str>) -> anyhow::Result<Map<String, Value>> {
        self.stand_in.fields(step)
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    stand_in: StandIn,
}

impl Operation for Resolve {
    const ACTION: &'static str = "resolve";
    const DONE: &'static str = "took the step as settled";

    fn fields(&self, step: Option<&str>) -> anyhow::Result<Map<String, Value>> {
        self.stand_in.fields(step)
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Signal {
    /// Name of the signal, as the definition's `await` has it
    signal: String,
    /// What comes with it, as JSON, or @FILE; it becomes the step's output
    #[arg(long, value_name = "JSON", value_parser = parse_json)]
    payload: Option<Value>,
}

impl Operation for Signal {
    const ACTION: &'static str = "signal";
    const DONE: &'static str = "handed the signal over";

    fn fields(&self, _step: Option<&str>) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::from_iter([("signal".to_owned(), Value::from(self.signal.as_str()))]);
        if let Some(payload) = &self.payload {
            fields.insert("payload".to_owned(), payload.clone());
        }
        Ok(fields)
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Move {
    /// The version of the same definition that it runs from now on
    #[arg(long, value_name = "VERSION")]
    to_version: u32,
}

impl Operation for Move {
    const ACTION: &'static str = "move";
    const DONE: &'static str = "moved to the other version";

    fn fields(&self, _step: Option<&str>) -> anyhow::Result<Map<String, Value>> {
        Ok(Map::from_iter([("version".to_owned(), Value::from(self.to_version))]))
    }
}

/// JSON as typed, or the JSON in a file.
fn parse_json(text: &str) -> Result<Value, String> {
    let read = |path| {
        fs::read_to_string(path).with_context(|| format!("reading {path}")).map_err(|error| format!("{error:#}"))
    };
    let text = match text.strip_prefix('@') {
        Some(path) => read(path)?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text)
        .map_err(|error| format!("not JSON ({error}); quote it for the shell, such as '{{\"a\": 1}}'"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_is_the_one_that_is_named_else_the_current_one() {
        let resolve = |step: Option<&str>, current| {
            let operation = Resolve { stand_in: StandIn { step_output: Some(json!({"id": 7})) } };
            AtStep { step: step.map(str::to_owned), operation }.fields(current)
        };
        let named = resolve(Some("ship"), Some("capture")).expect("a step is named");
        assert_eq!(Value::Object(named), json!({"step": "ship", "output": {"id": 7}}));
        assert_eq!(resolve(None, Some("capture")).expect("it stands somewhere")["step"], "capture");
        assert!(resolve(None, None).expect_err("no step is known").is::<Usage>());
    }

    #[test]
    fn json_is_read_as_typed_or_from_a_file() {
        assert_eq!(parse_json("{\"a\": 1}"), Ok(json!({"a": 1})));
        assert!(parse_json("{a: 1}").expect_err("no JSON").contains("quote it"));
        assert!(parse_json("@/nowhere.json").expect_err("no file").contains("/nowhere.json"));
    }
}
