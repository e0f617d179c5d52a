//! The promises that hold at every moment.

use makegood_saga::{
    definition::StepKind,
    state::{Phase, Status},
};

use super::{Model, World};

impl Model {
    fn stage_of(&self, step: usize) -> usize {
        self.definition.stage_of(step).unwrap_or(self.definition.stages.len())
    }

    /// Whether every step of the stages before has taken effect, or was left out on purpose.
    pub(super) fn earlier_stages_are_settled(&self, world: &World, step: usize) -> bool {
        let last = self.definition.steps.len();
        if step == last {
            // What comes last also comes after a way back.
            return true;
        }
        let stage = self.stage_of(step);
        (0..last).filter(|earlier| self.stage_of(*earlier) < stage).all(|earlier| {
            let is_command = matches!(self.definition.steps[earlier].kind, StepKind::Command(_));
            !is_command || world.books[earlier].effects > 0 || world.stored.0.steps[earlier].status == Status::Skipped
        })
    }

    /// Whether something that can be undone still stands in a later stage.
    pub(super) fn later_stages_stand(&self, world: &World, step: usize) -> bool {
        let stage = self.stage_of(step);
        (0..self.definition.steps.len())
            .filter(|later| self.stage_of(*later) > stage)
            .any(|later| self.can_undo(later) && world.books[later].effects > 0)
    }

    pub(super) fn can_undo(&self, step: usize) -> bool {
        self.definition.command_at(step).is_some_and(|command| command.compensate.is_some())
    }

    /// Looks at the world after something happened.
    pub(super) fn watch(&self, world: &mut World) {
        let broken = match world.stored.0.phase {
            Phase::Completed => self.broken_by_completing(world),
            Phase::Compensated => self.broken_by_compensating(world),
            Phase::Forward | Phase::Backward | Phase::Finally => None,
        };
        if let Some(promise) = broken {
            Self::breaks(world, promise);
        }
    }

    fn broken_by_completing(&self, world: &World) -> Option<&'static str> {
        let last = self.definition.steps.len();
        let took_effect = |step: usize| {
            let is_command = self.definition.command_at(step).is_some();
            !is_command || world.books[step].effects == 1 || world.stored.0.steps[step].status == Status::Skipped
        };
        if !(0..last).all(took_effect) {
            return Some("a saga completed without all of its effects");
        }
        (!took_effect(last)).then_some("a saga ended before its last command was done")
    }

    fn broken_by_compensating(&self, world: &World) -> Option<&'static str> {
        let last = self.definition.steps.len();
        if (0..last).any(|step| self.can_undo(step) && world.books[step].effects > 0) {
            return Some("a saga was compensated and left an effect");
        }
        if self.pivot.is_some_and(|pivot| world.books[pivot].effects > 0) {
            return Some("a saga was compensated after its pivot took effect");
        }
        let has_finally = self.definition.finally.is_some();
        (has_finally && world.books[last].effects == 0).then_some("a saga ended before its last command was done")
    }
}
