//! The command line, as an operator uses it: `makegood saga …` against the running system.

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::{As, System};

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub struct Ran {
    pub exit_code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Standard output as JSON lines; panics where a line is none.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?} of {self:?}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Standard output as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { exit_code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl System {
    /// Runs `makegood saga …` to its end, with the operator's key and nobody at the terminal.
    pub async fn saga(&self, args: &[&str]) -> Ran {
        self.operate("saga", args).await
    }

    /// Runs `makegood dead-letters …` likewise; only the orchestrator's are at the address that it is given.
    pub async fn dead_letters(&self, args: &[&str]) -> Ran {
        self.operate("dead-letters", args).await
    }

    async fn operate(&self, subcommand: &str, args: &[&str]) -> Ran {
        let env =
            [("MAKEGOOD_URL", self.api.address("orchestrator")), ("MAKEGOOD_ADMIN_KEY", self.api.key(As::Operator))];
        let mut command = self.command(&[&[subcommand], args].concat(), &env);
        command.stdin(Stdio::null()).output().await.expect("the binary runs").into()
    }
}
