//! `makegood bench saga`: the engine alone, like for like with what other engines are measured on.
//!
//! A saga of sequential steps, each a command to a participant in another process that commits one effect row; state,
//! log, barrier and effect are durable after each step. Orchestrator, participant, PostgreSQL and NATS are the run's own
//! ([`system`]), so that nothing else is in its tables or streams; [`starter`] starts sagas over NATS and sees them end.
//! In the end the database is asked whether each effect was made once and none is left that was to be undone. With `--kill`
//! it is not speed that is measured but how soon all is moving again after a SIGKILL ([`kill`]).

mod books;
mod kill;
pub(super) mod participant;
mod report;
mod starter;
mod system;

use std::{fmt::Display, path::PathBuf, time::Duration};

use anyhow::bail;
use serde::Serialize;

use super::load::{self, Plan};
use crate::{
    client::{duration::parse_duration, output::Output},
    interrupts::Interrupts,
    progress::step,
};
use report::Report;
use starter::Starter;
use system::System;

/// Sagas per second through the orchestrator, and how long each takes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It starts a PostgreSQL and a NATS of its own, with fsync on, and removes their data in the end.

Examples:
  makegood bench saga
  makegood bench saga --steps 4 --in-flight 1 --duration 10s
  makegood bench saga --steps 4 --in-flight 128 --refuse-step 3 -o json
  makegood bench saga --kill --in-flight 10000")]
pub(crate) struct Args {
    /// Steps of each saga, one after the other
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    steps: u16,
    /// Sagas at once
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=16384))]
    in_flight: u16,
    /// How long is measured (ms, s or m)
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// Run before measuring (ms, s or m)
    #[arg(long, default_value = "3s", value_parser = parse_duration)]
    warm_up: Duration,
    /// Refuse this step, so that those before it are undone
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    refuse_step: Option<u16>,
    /// Sagas that have finished before, in the tables
    #[arg(long, default_value_t = 0)]
    finished: u64,
    /// Kill the orchestrator after the warm-up, start it again, and measure how soon all sagas in flight move again
    #[arg(long, conflicts_with = "duration")]
    kill: bool,
    /// How the report is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Folder that scripts/install-servers filled
    #[arg(long, env = "MAKEGOOD_SERVERS", default_value = ".makegood/servers")]
    servers: PathBuf,
    /// Folder for the run's data: on the disk that is to be measured
    #[arg(long, env = "MAKEGOOD_HOME", default_value = ".makegood")]
    home: PathBuf,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    if args.refuse_step.is_some_and(|refused| refused > args.steps) {
        bail!("there is no step {} to refuse: a saga has {}", args.refuse_step.unwrap_or_default(), args.steps);
    }
    let mut interrupts = Interrupts::register()?;
    let mut system = System::start(&args).await?;
    let measured = tokio::select! {
        measured = measure(&args, &mut system) => measured,
        () = interrupts.next() => Err(anyhow::anyhow!("interrupted")),
    };
    step("stopping everything", system.stop()).await?;
    println!("{}", measured?);
    Ok(())
}

/// The report, as it is to be written.
async fn measure(args: &Args, system: &mut System) -> anyhow::Result<String> {
    if args.finished > 0 {
        step("filling the tables with finished sagas", books::fill(&system.orchestrator_db, args.finished)).await?;
        step("writing them to disk", system.checkpoint()).await?;
    }
    match args.kill {
        true => written(args.output, &kill::measure(args, system).await?),
        false => written(args.output, &measure_speed(args, system).await?),
    }
}

fn written(output: Output, report: &(impl Display + Serialize)) -> anyhow::Result<String> {
    Ok(match output {
        Output::Table => report.to_string(),
        Output::Json => serde_json::to_string_pretty(report)?,
    })
}

async fn measure_speed(args: &Args, system: &System) -> anyhow::Result<Report> {
    let starter = Starter::connect(&system.nats_url).await?;
    let clients = (0..args.in_flight).map(|_| starter.client()).collect();
    let plan = Plan { warm_up: args.warm_up, duration: args.duration, rate: None };
    let measured = load::run(clients, plan).await;
    let memory = system.memory();
    let checked = step("checking every effect", books::check(system, args, starter.started())).await?;
    if measured.completed == 0 {
        bail!("no saga ended: {:?}", measured.errors);
    }
    Ok(Report::new(args, &measured, memory, checked))
}
