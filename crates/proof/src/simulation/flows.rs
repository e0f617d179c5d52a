//! The flows that the shop runs: the shipped definitions, and a next version of the checkout that is released in the middle
//! of the day. Sagas that have begun before stay on theirs, unless an operator moves them.

use std::rc::Rc;

use makegood_saga::definition::Definition;
use time::{Duration, OffsetDateTime};

use super::schedule::BEGINNING;
use crate::{bug::Bug, engine};

const CHECKOUT: &str = include_str!("../../../../saga-definitions/checkout.v1.yaml");
const CANCEL_ORDER: &str = include_str!("../../../../saga-definitions/cancel-order.v1.yaml");
const RETURN_ORDER: &str = include_str!("../../../../saga-definitions/return-order.v1.yaml");
/// Many have begun by then, and some are still to come.
const RELEASED_AFTER: Duration = Duration::seconds(15);

/// A step by its name: its place differs from version to version.
pub(super) type StepName = Rc<str>;

pub(super) struct Flow {
    /// As the engine under test reads it.
    pub(super) definition: Definition,
    /// As it was written, also where the engine under test is made to ignore it.
    pub(super) pivot: Option<usize>,
    names: Vec<StepName>,
}

pub(super) struct Flows {
    checkout: Rc<Flow>,
    next_checkout: Rc<Flow>,
    cancel_order: Rc<Flow>,
    return_order: Rc<Flow>,
}

impl Flow {
    fn read(yaml: &str, bug: Option<Bug>) -> Rc<Self> {
        let written = Definition::parse(yaml).unwrap_or_else(|error| panic!("a definition of the simulation: {error}"));
        let pivot = written.pivot;
        let names = (0..=written.steps.len()).map(|index| written.name_of(index).into()).collect();
        Rc::new(Self { definition: engine::definition_under(bug, written), pivot, names })
    }

    pub(super) fn name_of(&self, index: usize) -> StepName {
        Rc::clone(&self.names[index])
    }

    /// The step's place, and its name as it is kept.
    pub(super) fn find(&self, step: &str) -> Option<(usize, StepName)> {
        let index = self.definition.index_of(step)?;
        Some((index, self.name_of(index)))
    }

    pub(super) fn is_past_pivot(&self, index: usize) -> bool {
        self.pivot.is_some_and(|pivot| index >= pivot)
    }
}

impl Flows {
    pub(super) fn read(bug: Option<Bug>) -> Self {
        Self {
            checkout: Flow::read(CHECKOUT, bug),
            next_checkout: Flow::read(&next_checkout(), bug),
            cancel_order: Flow::read(CANCEL_ORDER, bug),
            return_order: Flow::read(RETURN_ORDER, bug),
        }
    }

    /// What a saga begins with that is started now.
    pub(super) fn newest(&self, name: &str, now: OffsetDateTime) -> Option<Rc<Flow>> {
        let version = if now >= BEGINNING + RELEASED_AFTER { 2 } else { 1 };
        self.version(name, version).or_else(|| self.version(name, 1))
    }

    pub(super) fn version(&self, name: &str, version: u32) -> Option<Rc<Flow>> {
        let all = [&self.checkout, &self.next_checkout, &self.cancel_order, &self.return_order];
        let found = all.into_iter().find(|flow| flow.definition.name == name && flow.definition.version == version);
        found.map(Rc::clone)
    }

    /// Another version that has been released, to which an operator may want to move a saga.
    pub(super) fn other_version(&self, flow: &Flow, now: OffsetDateTime) -> Option<Rc<Flow>> {
        let is_released = now >= BEGINNING + RELEASED_AFTER;
        let other = if flow.definition.version == 1 { 2 } else { 1 };
        self.version(&flow.definition.name, other).filter(|_| is_released)
    }
}

/// The shop looks again whether the stock is kept once it has the money's word, and is less patient with the provider.
/// The steps that follow stand in other places than in the version before.
fn next_checkout() -> String {
    CHECKOUT.replace("version: 1", "version: 2").replace("timeout: 30s", "timeout: 20s").replace(
        "  - step: capture_payment\n",
        "  - step: allocate_stock_again\n    command: inventory.allocate_stock\n\n  - step: capture_payment\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_checkout_is_another_one_to_which_a_waiting_saga_may_move() {
        let flows = Flows::read(None);
        let (before, after) = (&flows.checkout.definition, &flows.next_checkout.definition);
        assert_eq!((after.version, after.steps.len()), (2, before.steps.len() + 1));
        assert_ne!(before.index_of("capture_payment"), after.index_of("capture_payment"));
        let early = flows.newest("checkout", BEGINNING).expect("there is one").definition.version;
        let late = flows.newest("checkout", BEGINNING + RELEASED_AFTER).expect("there is one").definition.version;
        assert_eq!((early, late), (1, 2));
    }
}
