//! What nothing in the code can show: the absences of ARCHITECTURE.md, and a few habits that a compiler does not mind.
//!
//! Reads sources, runs nothing. A rule that is broken names the file; where a rule allows exceptions, they are listed here, and
//! the lists may only shrink.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Longer files are hard to read at one sitting.
const MAX_LINES: usize = 400;

/// The binary puts all services together, which is what it is for.
const ASSEMBLES_SERVICES: &str = "services/makegood";
/// It stands for somebody else's computers, so a service's tests may speak to it. No service may.
const OUTSIDE_WORLD: &str = "makegood-sandbox";

/// What the engine must not know: another runtime, a database, a clock, the world.
const IMPURE: [&str; 14] = [
    "tokio",
    "sqlx",
    "async fn",
    "async move",
    ".await;",
    ".await?",
    ".await)",
    "SystemTime",
    "Instant",
    "now_utc",
    "now_v7",
    "std::fs",
    "std::net",
    "std::env",
];
const CLOCK: &str = "crates/chassis/src/clock.rs";
const WALL_CLOCKS: [&str; 3] = ["SystemTime::now", "now_utc(", "UtcDateTime::now"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the workspace").to_owned()
}

/// Every file below a folder whose name ends so, as its path in the workspace and its text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let name = path.strip_prefix(root()).expect("it lies in the workspace").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("a source is text")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} has files that end in {ending}");
    found
}

fn sources() -> Vec<(String, String)> {
    ["crates", "services", "tests"].iter().flat_map(|folder| files(folder, ".rs")).collect()
}

/// The code of a file: without comments and without the tests at its end.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let tested = text.find("#[cfg(test)]").map_or(text, |start| &text[..start]);
    tested.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// Fails with every offence at once.
fn none(offences: Vec<String>, rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn every_file_begins_by_saying_why_it_exists() {
    let silent = sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name);
    none(silent.collect(), "a file begins with `//!`");
}

#[test]
fn files_stay_short() {
    let lengths = sources().into_iter().map(|(name, text)| (name, text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > MAX_LINES);
    none(long.map(|(name, lines)| format!("{name}: {lines}")).collect(), "a file has at most 400 lines");
}

#[test]
fn the_engine_does_nothing_but_decide() {
    let mut offences = Vec::new();
    for (name, text) in files("crates/saga/src", ".rs") {
        for line in code(&text) {
            let impure = IMPURE.iter().filter(|word| line.contains(**word));
            offences.extend(impure.map(|word| format!("{name}: {word}")));
        }
    }
    for (name, text) in files("crates/saga", "Cargo.toml") {
        let impure =
            ["tokio", "sqlx", "async-nats", "reqwest"].into_iter().filter(|crate_name| text.contains(crate_name));
        offences.extend(impure.map(|crate_name| format!("{name}: {crate_name}")));
    }
    none(offences, "crates/saga does no I/O, reads no clock, and is not async");
}

#[test]
fn the_orchestrator_names_no_business_step() {
    let steps = words_of_definitions();
    let mut offences = Vec::new();
    for (name, text) in files("services/orchestrator/src", ".rs") {
        for line in code(&text) {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let named = words.filter(|word| steps.iter().any(|step| step == word));
            offences.extend(named.map(|word| format!("{name}: {word}")));
        }
    }
    none(offences, "only definitions name business steps");
}

/// The steps of all definitions, and the verbs of their commands.
fn words_of_definitions() -> Vec<String> {
    let mut words = Vec::new();
    for (_, yaml) in files("saga-definitions", ".yaml") {
        for line in yaml.lines() {
            let Some((key, value)) = line.trim().trim_start_matches("- ").split_once(": ") else { continue };
            if matches!(key, "step" | "command" | "compensate" | "pending") {
                words.push(value.rsplit('.').next().expect("a split has a last part").to_owned());
            }
        }
    }
    assert!(words.iter().any(|word| word == "hold_stock"), "the steps are found: {words:?}");
    words
}

#[test]
fn no_service_depends_on_another_service() {
    let services: Vec<String> = fs::read_dir(root().join("services"))
        .expect("services can be listed")
        .map(|entry| format!("makegood-{}", entry.expect("an entry can be read").file_name().display()))
        .collect();
    let mut offences = Vec::new();
    for (name, text) in
        files("services", "Cargo.toml").into_iter().filter(|(name, _)| !name.starts_with(ASSEMBLES_SERVICES))
    {
        let (shipped, tested) = text.split_once("[dev-dependencies]").unwrap_or((&text, ""));
        let names = |part: &str| {
            let dependencies =
                part.lines().map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
            dependencies.filter(|dependency| services.contains(dependency)).collect::<Vec<_>>()
        };
        let for_tests = names(tested).into_iter().filter(|dependency| dependency != OUTSIDE_WORLD);
        offences.extend(names(shipped).into_iter().chain(for_tests).map(|other| format!("{name}: {other}")));
    }
    none(offences, "services speak by message, not by call");
}

#[test]
fn only_the_clock_reads_the_wall_clock() {
    let mut offences = Vec::new();
    for (name, text) in
        ["crates", "services"].iter().flat_map(|folder| files(folder, ".rs")).filter(|(name, _)| name != CLOCK)
    {
        for line in code(&text) {
            offences.extend(
                WALL_CLOCKS.iter().filter(|clock| line.contains(**clock)).map(|clock| format!("{name}: {clock}")),
            );
        }
    }
    none(offences, "deadlines are made and compared by the database's clock");
}

#[test]
fn only_the_auditor_knows_other_services_databases() {
    let mut offences = Vec::new();
    for (name, text) in files("services", ".rs") {
        let may = ["services/auditor/", "services/makegood/"].iter().any(|folder| name.starts_with(folder));
        if !may && code(&text).any(|line| line.contains("service_url(") || line.contains("auditor_url")) {
            offences.push(name);
        }
    }
    none(offences, "a service is handed its own database and finds no other");
}
