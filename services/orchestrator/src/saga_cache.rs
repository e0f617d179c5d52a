//! Sagas that this replica has at hand. Safe to be stale: every write checks the revision, and the loser reloads.

use std::{collections::HashMap, sync::Arc};

use makegood_saga::{definition::Definition, state::State};
use time::OffsetDateTime;
use uuid::Uuid;

/// About 3 kB each with a usual context, so 60 MB at most. When it is full it is emptied: what is needed is loaded again.
const CAPACITY: usize = 20_000;
/// Their contexts together, as JSON; in memory three times as much. Contexts may be a hundred times as large as usual ones.
const CAPACITY_BYTES: usize = 32 * 1024 * 1024;

/// One saga as it stands in the database at `revision`.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) definition: Arc<Definition>,
    pub(crate) state: State,
    pub(crate) revision: i32,
    pub(crate) traceparent: Option<String>,
    /// The row's `wake_at`, which is never later than the true deadline.
    pub(crate) wake_at: Option<OffsetDateTime>,
}

#[derive(Debug, Default)]
pub(crate) struct SagaCache {
    sagas: HashMap<Uuid, Instance>,
    context_bytes: usize,
}

impl SagaCache {
    pub(crate) fn contains(&self, id: Uuid) -> bool {
        self.sagas.contains_key(&id)
    }

    pub(crate) fn take(&mut self, id: Uuid) -> Option<Instance> {
        let instance = self.sagas.remove(&id)?;
        self.context_bytes -= instance.state.context.bytes();
        Some(instance)
    }

    /// Drops a saga that has been moved elsewhere since, by another replica or an operator. A timer would find that it is
    /// early, and a recovery that nothing is out, where only the state at hand is old.
    pub(crate) fn forget_older(&mut self, id: Uuid, revision: i32) {
        if self.sagas.get(&id).is_some_and(|instance| instance.revision < revision) {
            self.take(id);
        }
    }

    /// Keeps a saga; one that has ended is not needed any more.
    pub(crate) fn keep(&mut self, id: Uuid, instance: Instance) {
        self.take(id);
        if instance.state.phase.has_ended() {
            return;
        }
        let context_bytes = instance.state.context.bytes();
        if self.sagas.len() >= CAPACITY || self.context_bytes + context_bytes > CAPACITY_BYTES {
            self.sagas.clear();
            self.context_bytes = 0;
        }
        self.context_bytes += context_bytes;
        self.sagas.insert(id, instance);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn what_was_moved_elsewhere_is_read_anew_and_what_is_newer_stays() {
        let yaml = "saga: a\nversion: 1\nsteps:\n  - { step: one, command: s.v }\n";
        let definition = Arc::new(Definition::parse(yaml).expect("it is in order"));
        let id = Uuid::from_u128(7);
        let state = State::new(&definition, id, Value::Null, BTreeMap::new());
        let mut cache = SagaCache::default();
        cache.keep(id, Instance { definition, state, revision: 3, traceparent: None, wake_at: None });
        for older in [2, 3] {
            cache.forget_older(id, older);
            assert!(cache.contains(id), "the database was read at revision {older}");
        }
        cache.forget_older(id, 4);
        assert!(!cache.contains(id));
    }

    #[test]
    fn large_contexts_fill_it_sooner() {
        let yaml = "saga: a\nversion: 1\nsteps:\n  - { step: one, command: s.v }\n";
        let definition = Arc::new(Definition::parse(yaml).expect("it is in order"));
        let input = Value::String("x".repeat(CAPACITY_BYTES / 4));
        let mut cache = SagaCache::default();
        let mut keep = |id: u128| {
            let id = Uuid::from_u128(id);
            let state = State::new(&definition, id, input.clone(), BTreeMap::new());
            let definition = Arc::clone(&definition);
            cache.keep(id, Instance { definition, state, revision: 1, traceparent: None, wake_at: None });
            cache.sagas.len()
        };
        assert_eq!([keep(1), keep(2), keep(2), keep(3)], [1, 2, 2, 3], "one that is kept again counts once");
        assert_eq!([keep(4), keep(5)], [1, 2], "there is no room for a fourth");
    }
}
