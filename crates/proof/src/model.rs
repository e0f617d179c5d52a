//! One saga in a world that may do anything, small enough to be looked at from all sides.
//!
//! What makes it small, and why nothing is missed by it:
//! - Messages stay on the wire for ever. Duplicates, reordering and delays are deliveries that may be chosen at any
//!   time, and a loss is a delivery that is never chosen.
//! - Time has no length. Whatever timer runs may fire now.
//! - Of the two orchestrators the one that wrote last acts from the store; the other may act from what it still has at
//!   hand, however old. That is all that a cache can be.
//! - What goes wrong is counted: each fault costs one of a few that a run may have. Retries are cut to two attempts.

mod action;
mod books;
mod checker;
mod healing;
mod orchestrator;
mod promises;
mod saga;

use std::{collections::BTreeSet, sync::Arc};

use makegood_contracts::command::Direction;
use makegood_saga::{
    definition::{Deadline, Definition, StepKind},
    event::Event,
    state::State,
};
use uuid::Uuid;

pub use action::{Action, Answer, Crash, Who};
pub use books::{Book, Row};
pub use saga::Saga;

use crate::{bug::Bug, engine};

/// Two attempts show whatever twelve do: one that is repeated, and one that is the last.
const ATTEMPTS: u32 = 2;

/// The rules of a world: whose saga runs in it, and how much may go wrong.
#[derive(Debug, Clone)]
pub struct Model {
    pub definition: Definition,
    pub bug: Option<Bug>,
    /// How many faults one run may have.
    pub faults: u8,
    /// The pivot as it was written, also where the engine under test is made to ignore it.
    pivot: Option<usize>,
}

/// A command on the wire: which step, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub step: usize,
    pub direction: Direction,
}

/// A reply on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reply {
    pub key: Key,
    pub answer: Answer,
}

/// Everything that is at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The saga as it is stored.
    pub stored: Arc<Saga>,
    /// What the orchestrator that did not write last still has at hand.
    pub stale: Option<Arc<Saga>>,
    /// That orchestrator believes that what it has is what is stored. Only with [`Bug::CacheKeptAfterLostRace`].
    pub is_forked: bool,
    pub commands: BTreeSet<Key>,
    pub replies: BTreeSet<Reply>,
    /// What each step's participant has written down; the last one is that of `finally`.
    pub books: Vec<Book>,
    pub faults_left: u8,
    /// The first promise that was broken.
    pub broken: Option<&'static str>,
}

impl Model {
    pub fn new(definition: Definition, bug: Option<Bug>, faults: u8) -> Self {
        let pivot = definition.pivot;
        let mut definition = engine::definition_under(bug, definition);
        let commands = definition.steps.iter_mut().filter_map(|step| match &mut step.kind {
            StepKind::Command(command) => Some(command),
            StepKind::Await(awaited) => {
                // Time has no length here, so a deadline needs no time that a participant told.
                awaited.deadline = Deadline::After(std::time::Duration::from_secs(1));
                None
            }
        });
        for command in commands.chain(definition.finally.as_mut()) {
            command.retry.attempts = ATTEMPTS;
            command.undo_retry.attempts = ATTEMPTS;
            // Participants answer without an output here.
            command.output = None;
        }
        Self { definition, bug, faults, pivot }
    }

    /// The world in which the saga was just begun.
    pub fn beginning(&self) -> World {
        let state = State::new(&self.definition, Uuid::nil(), serde_json::Value::Null, Default::default());
        let mut world = World {
            stored: Arc::new(Saga(state)),
            stale: None,
            is_forked: false,
            commands: BTreeSet::new(),
            replies: BTreeSet::new(),
            books: vec![Book::default(); self.definition.steps.len() + 1],
            faults_left: self.faults,
            broken: None,
        };
        self.hear(&mut world, Who::Writer, &orchestrator::Heard::Event(Event::Started), None);
        world
    }

    fn breaks(world: &mut World, promise: &'static str) {
        world.broken.get_or_insert(promise);
    }
}
