//! The model checker walks through everything that can happen to one saga, definition by definition.

use std::time::Duration;

use makegood_proof::{bug::Bug, model::Model};
use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::definitions::{SMALL, parse, shipped};

/// As many as a machine of CI has at least.
const THREADS: usize = 2;

/// Walks through all worlds with so many faults; how many there were.
fn look_at_all(name: &str, yaml: &str, faults: u8) -> usize {
    let checker = Model::new(parse(yaml), None, faults).checker();
    let done = checker.threads(THREADS).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{name}: {} worlds with up to {faults} faults, {} steps deep",
        done.unique_state_count(),
        done.max_depth()
    );
    done.assert_properties();
    done.unique_state_count()
}

/// What goes wrong with this mistake, if it is found.
fn mistake(bug: Bug, yaml: &str, faults: u8) -> Option<String> {
    let checker = Model::new(parse(yaml), Some(bug), faults).checker();
    let checker = checker.threads(THREADS).finish_when(HasDiscoveries::AnyFailures).timeout(Duration::from_secs(60));
    let done = checker.spawn_bfs().join();
    let (name, path) =
        done.discoveries().into_iter().find(|(name, _)| name.contains("broken") || name.contains("ends"))?;
    let broken = path.last_state().broken;
    Some(format!("{name}: {broken:?} after {} steps", path.into_actions().len()))
}

#[test]
fn small_definitions_keep_every_promise_whatever_goes_wrong() {
    for (name, yaml) in SMALL {
        look_at_all(name, yaml, 3);
    }
}

#[test]
fn shipped_definitions_keep_every_promise_whatever_goes_wrong() {
    for (name, yaml) in shipped() {
        look_at_all(&name, &yaml, 2);
    }
}

/// Hours for the last of them: `MAKEGOOD_PROOF_FAULTS=3 cargo test --release -p makegood-proof every_way -- --ignored`.
#[test]
#[ignore = "takes long; the number of faults is MAKEGOOD_PROOF_FAULTS"]
fn more_faults() {
    let faults = std::env::var("MAKEGOOD_PROOF_FAULTS").map_or(3, |faults| faults.parse().expect("a small number"));
    for (name, yaml) in SMALL.map(|(name, yaml)| (name.to_owned(), yaml.to_owned())).into_iter().chain(shipped()) {
        look_at_all(&name, &yaml, faults);
    }
}

#[test]
fn each_mistake_that_the_model_can_make_is_found() {
    for bug in Bug::IN_MODEL {
        let found = SMALL.into_iter().find_map(|(name, yaml)| Some((name, mistake(bug, yaml, 3)?)));
        println!("{bug:?}: {found:?}");
        assert!(found.is_some(), "{bug:?} is not found");
    }
}
