//! The participants of `examples/`, run as a shop would run them: beside the system, with a database of their own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use makegood_servers::{
    leftover::Identity,
    process::{Launch, Process, Signal},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    machine,
    system::{READY_WITHIN, STOP_WITHIN, System},
};

/// A participant in another language. Its service is also the name that the harness kills and restarts it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    pub service: &'static str,
    /// Below `examples/`.
    folder: &'static str,
    program: &'static str,
    /// Below what `scripts/install-example-participants` has made, unless it is run from its source.
    compiled: Option<&'static str>,
}

/// `examples/python`.
pub const LOYALTY: Example = Example { service: "loyalty", folder: "python", program: "python3", compiled: None };
/// `examples/typescript`.
pub const GIFTWRAP: Example = Example {
    service: "giftwrap",
    folder: "typescript",
    program: "node",
    compiled: Some("typescript/dist/participant.js"),
};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the workspace").join("examples")
}

/// The folder of definitions that a shop would add, for `MAKEGOOD_DEFINITIONS`.
pub fn example_definitions() -> PathBuf {
    examples().join("definitions")
}

/// Installs what the participants need, once for a build, and returns where.
async fn install() -> Result<PathBuf> {
    let folder = machine::build_folder()?.join("example-participants");
    let script = examples().with_file_name("scripts").join("install-example-participants");
    let output = tokio::process::Command::new(&script).arg(&folder).output().await;
    let output = output.with_context(|| format!("running {}", script.display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(folder)
}

impl System {
    /// Makes the participant's database and starts it.
    pub async fn start_example(&mut self, example: Example) {
        if let Err(error) = self.try_start_example(example).await {
            panic!("the participant {} did not start: {error:#}", example.service);
        }
    }

    async fn try_start_example(&mut self, example: Example) -> Result<()> {
        let Example { service, folder, program, compiled } = example;
        let installed = install().await?;
        let mut server = PgConnection::connect(&self.database_url_of("postgres")).await?;
        sqlx::query(AssertSqlSafe(format!("create database makegood_{service}"))).execute(&mut server).await?;
        let source = examples().join(folder);
        let mut database = self.database(service).await;
        for file in [examples().join("barrier.sql"), source.join("schema.sql")] {
            let sql = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut database)
                .await
                .with_context(|| file.display().to_string())?;
        }
        let program_file = compiled.map_or_else(|| source.join("participant.py"), |file| installed.join(file));
        let launch = Launch {
            identity: Identity {
                name: service.to_owned(),
                pid_file: self.file(&format!("{service}.pid")),
                mark: program_file.display().to_string(),
                stop_signal: Signal::TERM,
                stop_within: STOP_WITHIN,
            },
            program: program.into(),
            args: vec![program_file.into()],
            env: vec![
                ("DATABASE_URL".to_owned(), self.database_url_of(&format!("makegood_{service}"))),
                ("NATS_URL".to_owned(), self.nats_url().to_owned()),
                ("PYTHONPATH".to_owned(), installed.join("python").display().to_string()),
            ],
            run_as: None,
            log: self.file(&format!("{service}.log")),
            ready_within: READY_WITHIN,
            // It serves nobody: what is sent before it consumes waits in the stream.
            is_ready: Box::new(|_pid| true),
        };
        let process = Process::start(launch, self.notify()).await?;
        self.add(service, process);
        Ok(())
    }
}
