//! Sagas that this replica has at hand. Safe to be stale: every write checks the revision, and the loser reloads.

use std::{collections::HashMap, sync::Arc};

use makegood_saga::{definition::Definition, state::State};
use time::OffsetDateTime;
use uuid::Uuid;

/// About 3 kB each, so 60 MB at most. When it is full it is emptied: what is needed is loaded again.
const CAPACITY: usize = 20_000;

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
}

impl SagaCache {
    pub(crate) fn contains(&self, id: Uuid) -> bool {
        self.sagas.contains_key(&id)
    }

    pub(crate) fn take(&mut self, id: Uuid) -> Option<Instance> {
        self.sagas.remove(&id)
    }

    /// Keeps a saga; one that has ended is not needed any more.
    pub(crate) fn keep(&mut self, id: Uuid, instance: Instance) {
        if instance.state.phase.has_ended() {
            self.sagas.remove(&id);
            return;
        }
        if self.sagas.len() >= CAPACITY {
            self.sagas.clear();
        }
        self.sagas.insert(id, instance);
    }
}
