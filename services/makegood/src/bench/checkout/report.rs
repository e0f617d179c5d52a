//! What a run of checkouts measured, for people and for programs.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::Args;
use crate::bench::{
    floor::{Floor, Rate},
    histogram::Percentiles,
    load::Measured,
};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    scenario: &'static str,
    in_flight: u16,
    /// Iterations per second that were asked for; null in the closed loop.
    rate: Option<f64>,
    lines: u16,
    skus: u32,
    seconds: f64,
    completed: u64,
    completed_per_second: f64,
    /// `POST /v1/checkouts` until the order is completed.
    checkout_call: Percentiles,
    /// The cart and the checkout.
    iteration: Percentiles,
    errors: BTreeMap<String, u64>,
    floor: Floor,
    /// Completed checkouts for each commit that the machine can do, by clients.
    checkouts_per_commit: BTreeMap<usize, f64>,
}

impl Report {
    pub(super) fn new(args: &Args, measured: &Measured, floor: Floor) -> Self {
        let seconds = args.duration.as_secs_f64();
        let completed_per_second = if seconds > 0.0 { measured.completed as f64 / seconds } else { 0.0 };
        let per_commit = |rate: &Rate| (rate.at_once, completed_per_second / rate.per_second);
        Self {
            scenario: "checkout",
            in_flight: args.in_flight,
            rate: args.rate,
            lines: args.lines,
            skus: args.skus,
            seconds,
            completed: measured.completed,
            completed_per_second,
            checkout_call: measured.call.percentiles(),
            iteration: measured.iteration.percentiles(),
            errors: measured.errors.clone(),
            checkouts_per_commit: floor.postgres_commits.iter().map(per_commit).collect(),
            floor,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pace = self.rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate}/s asked for"));
        writeln!(
            f,
            "checkouts of {} lines, {} SKUs, {} in flight, {pace}, {:.0} s",
            self.lines, self.skus, self.in_flight, self.seconds
        )?;
        writeln!(f, "{:<36}{:>12.1}/s  ({} in all)", "completed", self.completed_per_second, self.completed)?;
        for (name, latency) in [("checkout call", self.checkout_call), ("cart and checkout", self.iteration)] {
            let Percentiles { p50_ms, p95_ms, p99_ms, max_ms } = latency;
            writeln!(f, "{name:<36}p50 {p50_ms:.1} ms, p95 {p95_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms")?;
        }
        for (kind, count) in &self.errors {
            writeln!(f, "{:<36}{count:>12}", format!("error: {kind}"))?;
        }
        for Rate { at_once, per_second } in &self.floor.postgres_commits {
            writeln!(f, "{:<36}{per_second:>12.0}/s", format!("PostgreSQL commits, {at_once} clients"))?;
        }
        for Rate { at_once, per_second } in &self.floor.jetstream_publishes {
            writeln!(f, "{:<36}{per_second:>12.0}/s", format!("JetStream publishes, {at_once} in flight"))?;
        }
        for (clients, ratio) in &self.checkouts_per_commit {
            writeln!(f, "{:<36}{ratio:>12.3}", format!("checkouts per commit, {clients} clients"))?;
        }
        self.floor.not_measured.iter().try_for_each(|why| writeln!(f, "not measured: {why}"))
    }
}
