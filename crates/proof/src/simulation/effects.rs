//! What each step has done and undone, counted beside the books: the promises about single effects.

use makegood_contracts::{
    command::{Direction, StepKey},
    reply::Outcome,
};
use makegood_saga::{definition::StepKind, event::Event};
use uuid::Uuid;

use super::{Simulation, flows::Flow};

/// Skipped where the stock was allocated with its hold: then the inventory's books tell, and not the step.
const ALLOCATION: &str = "allocate_stock";

impl Simulation {
    /// A step's effect, or that of its undo, has become durable.
    pub(super) fn note_effect(&mut self, key: &StepKey, outcome: &Outcome, was_here: bool) {
        let saga = key.saga_id;
        // A text that is split always has a first part.
        let step = key.step.split('~').next().unwrap_or_default();
        let Some(flow) = self.store.rows.get(&saga).map(|row| row.flow.clone()) else { return };
        let (Some((index, name)), Outcome::Done { .. }) = (flow.find(step), outcome) else { return };
        let times = self.effects.entry((saga, name, key.direction)).or_default();
        *times += 1;
        if *times > 1 {
            let times = *times;
            self.breaks(format!("{saga}:{step}:{} took effect {times} times", key.direction.as_str()));
        }
        match key.direction {
            Direction::Do => self.note_action(saga, &flow, index),
            Direction::Undo if was_here => self.note_undo(saga, &flow, index),
            Direction::Undo => {}
        }
    }

    fn note_action(&mut self, saga: Uuid, flow: &Flow, index: usize) {
        let step = flow.name_of(index);
        if self.effects.contains_key(&(saga, step.clone(), Direction::Undo)) {
            self.breaks(format!("{saga}:{step} took effect after its undo"));
        }
        // What cannot be undone, and may be given up, may come at any time; so may what an operator has left out.
        let matters = (can_undo(flow, index) || flow.is_past_pivot(index)) && !self.is_left_out(saga, &step);
        if matters && index < flow.definition.steps.len() && !self.earlier_stages_stand(saga, flow, index) {
            self.breaks(format!("{saga}:{step} took effect before an earlier stage was done"));
        }
        self.standing.insert((saga, step));
    }

    fn note_undo(&mut self, saga: Uuid, flow: &Flow, index: usize) {
        let step = flow.name_of(index);
        if !self.standing.remove(&(saga, step.clone())) {
            return;
        }
        let stage = flow.definition.stage_of(index);
        let later = (0..flow.definition.steps.len()).find(|later| {
            let name = flow.name_of(*later);
            flow.definition.stage_of(*later) > stage
                && can_undo(flow, *later)
                && !self.is_left_out(saga, &name)
                && self.standing.contains(&(saga, name))
        });
        if let Some(later) = later {
            self.breaks(format!("{saga}:{step} was undone before {}", flow.name_of(later)));
        }
        if flow.pivot.is_some_and(|pivot| self.standing.contains(&(saga, flow.name_of(pivot)))) {
            self.breaks(format!("{saga}:{step} was undone after the pivot"));
        }
    }

    fn earlier_stages_stand(&self, saga: Uuid, flow: &Flow, index: usize) -> bool {
        let stage = flow.definition.stage_of(index);
        (0..flow.definition.steps.len()).filter(|earlier| flow.definition.stage_of(*earlier) < stage).all(|earlier| {
            let name = flow.name_of(earlier);
            matches!(flow.definition.steps[earlier].kind, StepKind::Await(_))
                || self.is_left_out(saga, &name)
                || (*name == *ALLOCATION && self.stock.is_allocated(saga))
                || self.standing.contains(&(saga, name))
        })
    }

    /// Whether an operator has gone on without the step. What it does then, and when, is the operator's affair.
    pub(super) fn is_left_out(&self, saga: Uuid, step: &str) -> bool {
        !self.left_out.is_empty() && self.left_out.contains(&(saga, step.into()))
    }

    pub(super) fn is_any_left_out(&self, saga: Uuid, steps: &[&str]) -> bool {
        steps.iter().any(|step| self.is_left_out(saga, step))
    }

    /// Whether an event is the answer of a step that an operator has gone on without.
    pub(super) fn answers_what_was_left_out(&self, saga: Uuid, event: &Event) -> bool {
        matches!(event, Event::Replied { step, .. } if self.is_left_out(saga, step))
    }
}

fn can_undo(flow: &Flow, index: usize) -> bool {
    flow.definition.command_at(index).is_some_and(|command| command.compensate.is_some())
}
