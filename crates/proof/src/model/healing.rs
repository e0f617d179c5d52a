//! Whether a saga ends once nothing goes wrong any more: from any world, each message arrives, each timer fires, whoever
//! is waited for comes, and an operator lets go on what is paused and retries what is parked.

use makegood_contracts::command::Direction;
use makegood_saga::state::Status;

use super::{
    Answer, Key, Model, Row, Who, World,
    action::{resume, retry},
    orchestrator::Heard,
};

/// Far more rounds than the longest definition has steps, there and back, each with its attempts.
const ROUNDS: usize = 500;

impl Model {
    /// The promise that is broken when the world heals, if one is.
    pub fn broken_when_healed(&self, world: &World) -> Option<&'static str> {
        let mut world = world.clone();
        // An orchestrator that comes back finds out that it is late, and reads anew; it is the same as if it had nothing.
        if self.bug.is_none() {
            world.stale = None;
        }
        for _ in 0..ROUNDS {
            if world.broken.is_some() || world.stored.0.phase.has_ended() {
                self.watch(&mut world);
                return world.broken;
            }
            if self.is_refused_for_good(&world) {
                return None;
            }
            if !self.goes_on(&mut world) {
                return Some("a saga stands still: nothing is due, nothing is on its way, and it is not parked");
            }
        }
        Some("a saga does not end though nothing goes wrong")
    }

    /// Parked because a participant said no where there is no way back: no retry helps, only a person can settle it.
    fn is_refused_for_good(&self, world: &World) -> bool {
        let parked = world.stored.0.parked.as_ref().and_then(|parked| self.definition.index_of(&parked.step));
        parked.is_some_and(|step| world.books[step].action == Row::Refused)
    }

    /// One round of a good day. False when there is nothing that could move the saga.
    fn goes_on(&self, world: &mut World) -> bool {
        let before = world.stored.clone();
        self.participants_answer(world);
        for reply in world.replies.clone() {
            if matches!(reply.answer, Answer::Done | Answer::Refused) {
                self.hear(world, Who::Writer, &Heard::Event(self.event_of(&reply)), None);
            }
        }
        if world.stored != before {
            return true;
        }
        if before.0.paused.is_some() {
            self.operate(world, resume());
            return true;
        }
        if before.0.parked.is_some() {
            self.operate(world, retry());
            return true;
        }
        for (step, progress) in before.0.steps.iter().enumerate() {
            let heard = match (progress.status, self.signal_of(step)) {
                (Status::Waiting, Some(signal)) => Heard::Event(signal),
                _ if progress.due.is_some() => Heard::Timer { step, patience_is_over: false },
                _ => continue,
            };
            self.hear(world, Who::Writer, &heard, None);
            return true;
        }
        false
    }

    /// What is out is answered: done, where it was not decided otherwise.
    fn participants_answer(&self, world: &mut World) {
        let saga = world.stored.clone();
        for (step, progress) in saga.0.steps.iter().enumerate() {
            let is_undoing = progress.status == Status::Undoing;
            if !is_undoing && !matches!(progress.status, Status::Sent | Status::Pending) {
                continue;
            }
            let direction = if is_undoing { Direction::Undo } else { Direction::Do };
            let key = Key { step, direction };
            // Only what was published can arrive; what was lost is sent again when its timer fires.
            if world.commands.contains(&key) {
                self.handle(world, key, Answer::Done, None);
            }
            if world.books[step].action == Row::Pending {
                self.decide(world, step, Answer::Done);
            }
        }
    }
}
