//! The model as the model checker wants it, and what it is to look for.

use makegood_saga::state::Phase;
use stateright::Property;

use super::{Action, Model, World};

impl stateright::Model for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.beginning()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // Behind a broken promise there is nothing worth seeing.
        if world.broken.is_none() {
            self.what_may_happen(world, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.next(world, &action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no promise is broken", |_, world: &World| world.broken.is_none()),
            Property::always("it ends once nothing goes wrong any more", |model: &Self, world: &World| {
                model.broken_when_healed(world).is_none()
            }),
            Property::sometimes("it completes", |_, world: &World| world.stored.0.phase == Phase::Completed),
            Property::sometimes("it is compensated", |_, world: &World| world.stored.0.phase == Phase::Compensated),
            Property::sometimes("it parks", |_, world: &World| world.stored.0.parked.is_some()),
        ]
    }
}
