//! What each step has done and undone, counted beside the books: the promises about single effects.

use makegood_contracts::{
    command::{Direction, StepKey},
    reply::Outcome,
};
use makegood_saga::{definition::StepKind, state::Status};
use uuid::Uuid;

use super::Simulation;

impl Simulation {
    /// A step's effect, or that of its undo, has become durable.
    pub(super) fn note_effect(&mut self, key: &StepKey, outcome: &Outcome, was_here: bool) {
        let step = key.step.split('~').next().unwrap_or_default();
        let (Some(index), Outcome::Done { .. }) = (self.definition.index_of(step), outcome) else { return };
        let saga = key.saga_id;
        let times = self.effects.entry((saga, index, key.direction)).or_default();
        *times += 1;
        if *times > 1 {
            self.breaks(format!("{saga}:{step}:{} took effect {} times", key.direction.as_str(), 2));
        }
        match key.direction {
            Direction::Do => self.note_action(saga, index),
            Direction::Undo if was_here => self.note_undo(saga, index),
            Direction::Undo => {}
        }
    }

    fn note_action(&mut self, saga: Uuid, index: usize) {
        let step = self.definition.name_of(index).to_owned();
        if self.effects.contains_key(&(saga, index, Direction::Undo)) {
            self.breaks(format!("{saga}:{step} took effect after its undo"));
        }
        // What cannot be undone, and may be given up, may come at any time.
        let matters = self.can_undo(index) || self.pivot.is_some_and(|pivot| index >= pivot);
        if matters && index < self.definition.steps.len() && !self.earlier_stages_stand(saga, index) {
            self.breaks(format!("{saga}:{step} took effect before an earlier stage was done"));
        }
        self.standing.insert((saga, index));
    }

    fn note_undo(&mut self, saga: Uuid, index: usize) {
        if !self.standing.remove(&(saga, index)) {
            return;
        }
        let stage = self.definition.stage_of(index);
        let later = (0..self.definition.steps.len()).find(|later| {
            self.definition.stage_of(*later) > stage && self.can_undo(*later) && self.standing.contains(&(saga, *later))
        });
        let step = self.definition.name_of(index).to_owned();
        if let Some(later) = later {
            let later = self.definition.name_of(later).to_owned();
            self.breaks(format!("{saga}:{step} was undone before {later}"));
        }
        if self.pivot.is_some_and(|pivot| self.standing.contains(&(saga, pivot))) {
            self.breaks(format!("{saga}:{step} was undone after the pivot"));
        }
    }

    fn can_undo(&self, index: usize) -> bool {
        self.definition.command_at(index).is_some_and(|command| command.compensate.is_some())
    }

    fn earlier_stages_stand(&self, saga: Uuid, index: usize) -> bool {
        let stage = self.definition.stage_of(index);
        let skipped = |earlier: usize| {
            self.store.rows.get(&saga).is_some_and(|row| row.state.steps[earlier].status == Status::Skipped)
        };
        (0..self.definition.steps.len()).filter(|earlier| self.definition.stage_of(*earlier) < stage).all(|earlier| {
            matches!(self.definition.steps[earlier].kind, StepKind::Await(_))
                || self.standing.contains(&(saga, earlier))
                || skipped(earlier)
        })
    }
}
