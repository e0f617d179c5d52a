//! The flows that the shop runs: the shipped definitions, of which the checkout's second version is released early in the day,
//! and a next version of it in the middle. Sagas that have begun before stay on theirs, unless an operator moves them.

use std::rc::Rc;

use makegood_saga::definition::Definition;
use time::{Duration, OffsetDateTime};

use super::schedule::BEGINNING;
use crate::{bug::Bug, engine};

const FIRST_CHECKOUT: &str = include_str!("../../../../saga-definitions/checkout.v1.yaml");
const CHECKOUT: &str = include_str!("../../../../saga-definitions/checkout.v2.yaml");
const CANCEL_ORDER: &str = include_str!("../../../../saga-definitions/cancel-order.v1.yaml");
const RETURN_ORDER: &str = include_str!("../../../../saga-definitions/return-order.v1.yaml");
/// When the second and the third version of the checkout are released: many have begun with the one before by then.
const RELEASED_AFTER: [Duration; 2] = [Duration::seconds(5), Duration::seconds(15)];

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
    /// By version, beginning with 1.
    checkouts: [Rc<Flow>; 3],
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
            checkouts: [FIRST_CHECKOUT, CHECKOUT, &next_checkout()].map(|yaml| Flow::read(yaml, bug)),
            cancel_order: Flow::read(CANCEL_ORDER, bug),
            return_order: Flow::read(RETURN_ORDER, bug),
        }
    }

    /// What a saga begins with that is started now.
    pub(super) fn newest(&self, name: &str, now: OffsetDateTime) -> Option<Rc<Flow>> {
        self.version(name, released(now)).or_else(|| self.version(name, 1))
    }

    pub(super) fn version(&self, name: &str, version: u32) -> Option<Rc<Flow>> {
        let mut all = self.checkouts.iter().chain([&self.cancel_order, &self.return_order]);
        let found = all.find(|flow| flow.definition.name == name && flow.definition.version == version);
        found.map(Rc::clone)
    }

    /// Another version that has been released, to which an operator may want to move a saga.
    pub(super) fn other_version(&self, flow: &Flow, now: OffsetDateTime) -> Option<Rc<Flow>> {
        let version = flow.definition.version;
        let other = if version < released(now) { version + 1 } else { version - 1 };
        self.version(&flow.definition.name, other)
    }
}

/// The newest version of the checkout at this time.
fn released(now: OffsetDateTime) -> u32 {
    let later = RELEASED_AFTER.into_iter().filter(|after| now >= BEGINNING + *after);
    later.fold(1, |version, _| version + 1)
}

/// The shop looks again whether the stock is kept once it has the money's word, and is less patient with the provider.
/// The steps that follow stand in other places than in the version before.
fn next_checkout() -> String {
    CHECKOUT.replace("version: 2", "version: 3").replace("timeout: 30s", "timeout: 20s").replace(
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
        let [_, before, after] = flows.checkouts.each_ref().map(|flow| &flow.definition);
        assert_eq!((after.version, after.steps.len()), (3, before.steps.len() + 1));
        assert_ne!(before.index_of("capture_payment"), after.index_of("capture_payment"));
        let newest = |after| flows.newest("checkout", BEGINNING + after).expect("there is one");
        let versions =
            [Duration::ZERO, RELEASED_AFTER[0], RELEASED_AFTER[1]].map(|after| newest(after).definition.version);
        assert_eq!(versions, [1, 2, 3]);
        let other = |version: usize, after| flows.other_version(&flows.checkouts[version - 1], BEGINNING + after);
        assert!(other(1, Duration::ZERO).is_none(), "nothing else is released");
        assert_eq!(other(1, RELEASED_AFTER[0]).map(|flow| flow.definition.version), Some(2));
        assert_eq!(other(2, RELEASED_AFTER[0]).map(|flow| flow.definition.version), Some(1));
        assert_eq!(other(3, RELEASED_AFTER[1]).map(|flow| flow.definition.version), Some(2));
    }
}
