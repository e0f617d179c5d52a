//! Watching a bulk operation: a bar on a terminal, a line every few seconds elsewhere. Ctrl-C ends the watching, and the
//! operation only if the person says so.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::Instant;

use super::{
    super::{
        admin::{Admin, read},
        answers::BulkOperation,
        terminal::{print, print_json},
    },
    confirmed,
};
use crate::{
    client::output::Output,
    interrupts::{self, Interrupts},
    progress,
};

const ASK_EVERY: Duration = Duration::from_secs(1);
/// Where there is no terminal to draw on, a line is due so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Watches until the operation has ended; an error if it failed for some.
pub(super) async fn watch(admin: &Admin, id: &str, output: Output) -> anyhow::Result<()> {
    let path = format!("/v1/admin/bulk_operations/{id}");
    let mut interrupts = Interrupts::register()?;
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} sagas  {per_sec}  {eta} left  {msg}")?);
    let mut line_due = Instant::now() + LINE_EVERY;
    loop {
        let answer = admin.get(&path).await?.body;
        let operation: BulkOperation = read(answer.clone())?;
        bar.set_length(operation.matches);
        bar.set_position(operation.worked_off());
        bar.set_message(counts(&operation));
        if !operation.is_running() {
            bar.finish_and_clear();
            match output {
                Output::Json => print_json(&answer)?,
                Output::Table => print(&super::told(&operation)?)?,
            }
            return judged(&operation);
        }
        if bar.is_hidden() && Instant::now() >= line_due {
            progress::say(&format!("{}/{} sagas, {}", operation.worked_off(), operation.matches, counts(&operation)));
            line_due += LINE_EVERY;
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = interrupts.next() => {
                bar.finish_and_clear();
                return interrupted(admin, id, interrupts).await;
            }
        }
    }
}

fn counts(operation: &BulkOperation) -> String {
    format!("{} done, {} refused, {} failed", operation.done, operation.refused, operation.failed)
}

fn judged(operation: &BulkOperation) -> anyhow::Result<()> {
    let refused = (operation.refused > 0)
        .then(|| format!("{} could not do that, or did not match any more, when their turn came", operation.refused));
    let failed = (operation.failed > 0)
        .then(|| format!("{} failed, and the same command tries again what still matches", operation.failed));
    let told: Vec<String> = [refused, failed].into_iter().flatten().collect();
    ensure!(told.is_empty(), "{}: they are as they were", told.join("; "));
    Ok(())
}

/// The operation goes on without us; whether it should is the person's choice.
async fn interrupted(admin: &Admin, id: &str, mut interrupts: Interrupts) -> anyhow::Result<()> {
    let left = format!(
        "it goes on by itself: `makegood saga bulk watch {id}` shows it, `makegood saga bulk stop {id} --reason \"…\"` stops it"
    );
    if !io::stdin().is_terminal() {
        progress::say(&left);
        std::process::exit(interrupts::EXIT_CODE);
    }
    let asking = tokio::task::spawn_blocking(|| confirmed("\nIt goes on without this command. Stop it?"));
    let stop = tokio::select! {
        answer = asking => answer??,
        () = interrupts.next() => false,
    };
    if stop {
        let stopped = admin
            .post(
                &format!("/v1/admin/bulk_operations/{id}/stop"),
                &json!({ "reason": "stopped at the terminal that began it" }),
                None,
            )
            .await?;
        print(&super::told(&read(stopped)?)?)?;
    } else {
        progress::say(&left);
    }
    // Not a return: the question may still be waiting for its answer.
    std::process::exit(interrupts::EXIT_CODE)
}
