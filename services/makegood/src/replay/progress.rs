//! How far a replay is: a bar on a terminal, a line every few seconds elsewhere (a log, CI).

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Interval;

use super::report::Tally;

const LINE_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    bar: ProgressBar,
    every: Interval,
}

impl Progress {
    pub(crate) fn new(orders: u64) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(orders);
        bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} orders  {per_sec}  {eta} left  {msg}")?);
        let mut every = tokio::time::interval(LINE_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        every.reset();
        Ok(Self { bar, every })
    }

    pub(crate) fn show(&self, tally: &Tally) {
        self.bar.set_position(tally.placed.count);
        self.bar.set_message(summary(tally));
    }

    /// Ends when a line is due.
    pub(crate) async fn line_due(&mut self) {
        self.every.tick().await;
    }

    /// Writes the line, where there is no terminal to draw on.
    pub(crate) fn line(&self, tally: &Tally) {
        if self.bar.is_hidden() {
            let orders = self.bar.length().unwrap_or_default();
            eprintln!("{}/{orders} orders, {:.0}/s, {}", tally.placed.count, self.bar.per_sec(), summary(tally));
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn summary(tally: &Tally) -> String {
    format!("{} completed, {} refused", tally.completed.count, tally.refused_in_all().count)
}
