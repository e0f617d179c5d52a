//! A rehearsal: a definition runs against scripted participants, with a clock of its own and no server, and is held against
//! what its author expects.
//!
//! It is the same transition function that runs in production; only the answers, the signals and the time come from a
//! [`Script`].

mod answer;
mod expectation;
mod play;
mod script;
mod timeline;

pub use play::rehearse;
pub use script::{Case, Script};
pub use timeline::Line;

/// How one case went.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// Everything that happened, in order.
    pub timeline: Vec<Line>,
    /// What was expected and did not happen; empty when all is well.
    pub misses: Vec<String>,
}

#[cfg(test)]
mod tests;
