//! Runs histories, many seeds or one. A seed whose history breaks a promise is printed with the command that shows it again.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use makegood_proof::simulation::{self, Broken, Summary};

/// So often the progress is told.
const PROGRESS: Duration = Duration::from_secs(10);
/// More broken seeds than these teach nothing new.
const MOST_SHOWN: usize = 10;

/// Runs bad days in a shop, each from one seed, and looks whether sagas keep their promises.
#[derive(Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this one.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// At once.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

struct Progress {
    next: AtomicU64,
    end: u64,
    total: Mutex<(Summary, Vec<Broken>)>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let from = arguments.seed.unwrap_or(arguments.from);
    let seeds = if arguments.seed.is_some() { 1 } else { arguments.seeds };
    let progress = Progress { next: AtomicU64::new(from), end: from + seeds, total: Mutex::default() };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.threads).map(|_| scope.spawn(|| work(&progress))).collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let done = progress.next.load(Ordering::Relaxed).min(progress.end) - from;
                println!("{done} of {seeds} seeds, {:.0} a second", done as f64 / begun.elapsed().as_secs_f64());
            }
        }
    });
    let Ok((summary, broken)) = progress.total.into_inner() else { return ExitCode::FAILURE };
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds in {seconds:.1} s ({:.0} a second): {} sagas completed, {} were compensated, {} things happened",
        seeds as f64 / seconds,
        summary.completed,
        summary.compensated,
        summary.events
    );
    for broken in broken.iter().take(MOST_SHOWN) {
        println!("{broken}");
    }
    if broken.is_empty() {
        println!("every promise was kept");
        ExitCode::SUCCESS
    } else {
        println!("{} seeds break a promise", broken.len());
        ExitCode::FAILURE
    }
}

/// Takes seeds until there are none left.
fn work(progress: &Progress) {
    loop {
        let seed = progress.next.fetch_add(1, Ordering::Relaxed);
        if seed >= progress.end {
            return;
        }
        let result = simulation::run(seed, None);
        let Ok(mut total) = progress.total.lock() else { return };
        match result {
            Ok(summary) => {
                total.0.completed += summary.completed;
                total.0.compensated += summary.compensated;
                total.0.events += summary.events;
            }
            Err(broken) => total.1.push(broken),
        }
    }
}
