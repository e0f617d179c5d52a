//! Bad days in a shop: many seeds on which every promise is kept, and for each mistake some on which one is not.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use makegood_proof::{
    bug::Bug,
    simulation::{self, Broken},
};

/// What CI has time for; `cargo run --release -p makegood-proof -- --seeds 100000` is the long run.
const SEEDS: u64 = 500;
/// The one that is hardest to find shows itself at the 97th seed, and all others at the 32nd or before.
const SEEDS_PER_MISTAKE: u64 = 500;
const THREADS: usize = 2;

/// Runs seeds until one breaks a promise.
fn first_broken(seeds: u64, bug: Option<Bug>) -> Option<Broken> {
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return None;
            }
            if let Err(broken) = simulation::run(seed, bug) {
                next.store(seeds, Ordering::Relaxed);
                return Some(broken);
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().expect("a history does not panic"))
            .min_by_key(|one| one.seed)
    })
}

#[test]
fn every_promise_is_kept_on_every_bad_day() {
    if let Some(broken) = first_broken(SEEDS, None) {
        panic!("{broken}");
    }
}

#[test]
fn a_seed_is_the_same_history_each_time() {
    for seed in 0..5 {
        let [first, second] = [(); 2].map(|()| simulation::run(seed, None).expect("its promises are kept"));
        assert_eq!(first.events, second.events, "seed {seed}");
    }
}

#[test]
fn each_mistake_is_found() {
    let mut not_found = Vec::new();
    for bug in Bug::ALL {
        match first_broken(SEEDS_PER_MISTAKE, Some(bug)) {
            Some(Broken { seed, promise, .. }) => {
                let promise: String = promise.chars().take(160).collect();
                println!("{bug:?}: seed {seed}: {promise}");
            }
            None => not_found.push(bug),
        }
    }
    assert!(not_found.is_empty(), "not found within {SEEDS_PER_MISTAKE} seeds: {not_found:?}");
}
