//! What a run of sagas measured, for people and for programs.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{Args, books::Checked, system::Memory};
use crate::bench::{histogram::Percentiles, load::Measured};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    scenario: &'static str,
    steps: u16,
    refused_step: Option<u16>,
    finished_before: u64,
    in_flight: u16,
    seconds: f64,
    ended: u64,
    ended_per_second: f64,
    /// From the start's publication until the note of its end.
    saga: Percentiles,
    errors: BTreeMap<String, u64>,
    memory: Memory,
    checked: Checked,
}

impl Report {
    pub(super) fn new(args: &Args, measured: &Measured, memory: Memory, checked: Checked) -> Self {
        let seconds = args.duration.as_secs_f64();
        Self {
            scenario: "saga",
            steps: args.steps,
            refused_step: args.refuse_step,
            finished_before: args.finished,
            in_flight: args.in_flight,
            seconds,
            ended: measured.completed,
            ended_per_second: measured.completed as f64 / seconds,
            saga: measured.call.percentiles(),
            errors: measured.errors.clone(),
            memory,
            checked,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = self.refused_step.map_or_else(String::new, |step| format!(", step {step} refused"));
        writeln!(f, "sagas of {} steps{refused}, {} in flight, {:.0} s", self.steps, self.in_flight, self.seconds)?;
        writeln!(f, "{:<28}{:>12.1}/s  ({} in all)", "ended", self.ended_per_second, self.ended)?;
        let Percentiles { p50_ms, p95_ms, p99_ms, max_ms } = self.saga;
        writeln!(f, "{:<28}p50 {p50_ms:.1} ms, p95 {p95_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms", "saga")?;
        for (kind, count) in &self.errors {
            writeln!(f, "{:<28}{count:>12}", format!("error: {kind}"))?;
        }
        writeln!(
            f,
            "{:<28}orchestrator {:.0} MB, participant {:.0} MB",
            "memory", self.memory.orchestrator_mb, self.memory.participant_mb
        )?;
        write!(f, "{:<28}{}", "checked", serde_json::json!(self.checked))
    }
}
