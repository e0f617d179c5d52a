//! The report for people.

use std::fmt::{self, Display};

use super::report::{Count, Report};

/// Shows a report as aligned lines.
pub(crate) struct Table<'a>(pub(crate) &'a Report);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        let tally = &report.tally;
        writeln!(f, "\n{} ({} lines, {} orders)", report.file, report.lines, report.orders_in_file)?;
        writeln!(f, "{:<58}{:>10}{:>18}", "", "count", "GBP")?;
        row(f, "orders placed", &tally.placed)?;
        row(f, "  completed", &tally.completed)?;
        for (code, count) in &tally.refused {
            row(f, &format!("  refused: {code}"), count)?;
        }
        if tally.undecided.count > 0 {
            row(f, "  undecided", &tally.undecided)?;
        }
        for (why, count) in &tally.skipped_lines {
            row(f, &format!("lines skipped: {}", why.says()), count)?;
        }
        row(f, "lines of cancellations", &tally.cancellations)?;
        row(f, "lines of adjustments", &tally.adjustments)?;
        writeln!(f, "{:<58}{:>10}{:>18}", "the file", report.lines, report.file_total)?;
        writeln!(f, "{:.1} orders/s over {:.1} s\n", report.orders_per_second, report.seconds)?;
        for why in &tally.undecided_because {
            writeln!(f, "undecided: {why}")?;
        }
        for check in &report.checks {
            writeln!(f, "{} {}: {}", if check.ok { '✓' } else { '✗' }, check.says, check.detail)?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, count: &Count) -> fmt::Result {
    writeln!(f, "{name:<58}{:>10}{:>18}", count.count, count.amount)
}
