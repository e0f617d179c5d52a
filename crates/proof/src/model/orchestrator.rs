//! An orchestrator moves the saga, as services/orchestrator's `driver/advance.rs` does: it runs the transition on what it
//! has at hand, writes on the condition that nobody wrote meanwhile, publishes, and drops what it has when it lost.

use std::sync::Arc;

use makegood_saga::{
    effect::Effect,
    event::Event,
    transition::{Transition, Verdict},
};

use super::{Crash, Key, Model, Saga, Who, World, saga::NOW};
use crate::{bug::Bug, engine};

/// What comes to an orchestrator.
pub(super) enum Heard {
    Event(Event),
    Timer { step: usize, patience_is_over: bool },
}

impl Model {
    /// What an orchestrator would act on.
    pub(super) fn at_hand<'a>(&self, world: &'a World, who: Who) -> &'a Arc<Saga> {
        match who {
            Who::Writer => &world.stored,
            Who::Other => world.stale.as_ref().unwrap_or(&world.stored),
        }
    }

    /// An orchestrator acts on what it hears, and dies where `crash` says.
    pub(super) fn hear(&self, world: &mut World, who: Who, heard: &Heard, crash: Option<Crash>) {
        if who == Who::Other && world.stale.is_some() {
            let moved = self.transition(self.at_hand(world, who), heard);
            match &moved.verdict {
                Verdict::Unexpected(_) => world.stale = None,
                Verdict::Moved => {
                    if self.bug == Some(Bug::PublishBeforeCommit) {
                        publish(world, &moved);
                    }
                    if self.bug == Some(Bug::NoRevisionCheck) || world.is_forked {
                        self.commit(world, who, moved, crash);
                        return;
                    }
                    // Its write loses the race for the revision.
                    if self.bug == Some(Bug::CacheKeptAfterLostRace) {
                        world.stale = Some(Arc::new(Saga::reduced(moved.state)));
                        world.is_forked = true;
                        return;
                    }
                    world.stale = None;
                }
                Verdict::Ignored | Verdict::Refused(_) => return,
                Verdict::Conflict(_) => return Self::breaks(world, "an answer contradicts an earlier one"),
            }
        }
        let moved = self.transition(&world.stored, heard);
        match &moved.verdict {
            Verdict::Moved => self.commit(world, who, moved, crash),
            Verdict::Ignored | Verdict::Refused(_) => {}
            Verdict::Unexpected(_) => Self::breaks(world, "an answer came to what was never asked"),
            Verdict::Conflict(_) => Self::breaks(world, "an answer contradicts an earlier one"),
        }
    }

    /// An operator acts on what is stored, on the condition that it still is.
    pub(super) fn operate(&self, world: &mut World, event: Event) {
        let moved = self.transition(&world.stored, &Heard::Event(event));
        if moved.verdict == Verdict::Moved {
            self.commit(world, Who::Writer, moved, None);
        }
    }

    fn transition(&self, saga: &Saga, heard: &Heard) -> Transition {
        match heard {
            Heard::Event(event) => engine::step(self.bug, &self.definition, saga.0.clone(), event, NOW),
            Heard::Timer { step, patience_is_over } => {
                let state = saga.at_the_time_of(*step, *patience_is_over);
                engine::step(self.bug, &self.definition, state, &Event::Woke, NOW)
            }
        }
    }

    fn commit(&self, world: &mut World, who: Who, moved: Transition, crash: Option<Crash>) {
        if world.stored.0.phase.has_ended() {
            Self::breaks(world, "a saga that had ended was moved");
        }
        if crash != Some(Crash::AfterCommit) {
            publish(world, &moved);
        }
        let before = std::mem::replace(&mut world.stored, Arc::new(Saga::reduced(moved.state)));
        world.is_forked = false;
        match who {
            // Now the one that had written before has what is old; one that died has nothing.
            Who::Other => world.stale = Some(before),
            Who::Writer => {}
        }
    }
}

fn publish(world: &mut World, moved: &Transition) {
    world.commands.extend(moved.effects.iter().filter_map(|effect| match effect {
        Effect::Send(send) => Some(Key { step: send.index, direction: send.direction }),
        // Nobody waits for what is told, and nothing follows from it.
        Effect::Tell { .. } | Effect::Finish => None,
    }));
}
