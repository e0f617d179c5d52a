//! What a participant writes down for one step, as `makegood-messaging`'s barrier has it: the first outcome of a key
//! stands, an undo that comes first leaves a tombstone, and the effect is in the same transaction.

use makegood_contracts::command::Direction;

use super::{Answer, Crash, Key, Model, Reply, World};
use crate::bug::Bug;

/// The barrier row of an action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Row {
    #[default]
    None,
    Done,
    Refused,
    Pending,
    /// Undone before it came.
    Tombstone,
}

/// One step's part of its participant's books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Book {
    pub action: Row,
    /// The barrier row of the undo.
    pub is_undone: bool,
    /// How often the action's effect stands.
    pub effects: u8,
}

impl Model {
    /// A participant takes a command. `answer` is what it says if it has not decided before.
    pub(super) fn handle(&self, world: &mut World, key: Key, answer: Answer, crash: Option<Crash>) {
        let said = match key.direction {
            Direction::Do => self.act(world, key.step, answer),
            Direction::Undo => self.undo(world, key.step, answer),
        };
        if crash.is_none() {
            world.replies.insert(Reply { key, answer: said });
        }
    }

    fn act(&self, world: &mut World, step: usize, answer: Answer) -> Answer {
        match world.books[step].action {
            Row::Done if self.bug != Some(Bug::NoBarrier) => return Answer::Done,
            Row::Refused | Row::Tombstone => return Answer::Refused,
            Row::Done | Row::None | Row::Pending => {}
        }
        let row = match answer {
            Answer::Done => {
                self.take_effect(world, step);
                Row::Done
            }
            Answer::Refused => Row::Refused,
            Answer::Pending => Row::Pending,
            // Not stored: the next attempt runs again.
            Answer::Failed | Answer::Defect => return answer,
        };
        world.books[step].action = row;
        answer
    }

    /// Someone outside has decided a pending step; the reply follows.
    pub(super) fn decide(&self, world: &mut World, step: usize, answer: Answer) {
        let said = self.act(world, step, answer);
        world.replies.insert(Reply { key: Key { step, direction: Direction::Do }, answer: said });
    }

    fn take_effect(&self, world: &mut World, step: usize) {
        if world.books[step].is_undone {
            Self::breaks(world, "a step took effect after its undo");
        }
        if world.books[step].effects > 0 {
            Self::breaks(world, "a step took effect twice");
        }
        // What cannot be undone, and may be given up, may come at any time: it leaves nothing behind that matters.
        let matters = self.can_undo(step) || self.pivot.is_some_and(|pivot| step >= pivot);
        if matters && !self.earlier_stages_are_settled(world, step) {
            Self::breaks(world, "a step took effect before an earlier stage was done");
        }
        world.books[step].effects += 1;
    }

    fn undo(&self, world: &mut World, step: usize, answer: Answer) -> Answer {
        let book = world.books[step];
        if book.is_undone {
            return Answer::Done;
        }
        if answer != Answer::Done {
            return answer;
        }
        if book.effects > 0 && self.later_stages_stand(world, step) {
            Self::breaks(world, "a step was undone before a later one");
        }
        if self.pivot.is_some_and(|pivot| world.books[pivot].effects > 0) {
            Self::breaks(world, "a step was undone after the pivot took effect");
        }
        let book = &mut world.books[step];
        book.effects = book.effects.saturating_sub(1);
        book.is_undone = true;
        if matches!(book.action, Row::None | Row::Pending) && self.bug != Some(Bug::NoTombstone) {
            book.action = Row::Tombstone;
        }
        Answer::Done
    }
}
