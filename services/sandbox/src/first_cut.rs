//! Remembers which operations have been cut off before their effect, so that each is cut off once.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

/// Operations remembered; past it all are forgotten, and may be cut off a second time.
const MAX_REMEMBERED: usize = 10_000;

/// Kept in this process's memory, as all faults are; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstCut(Arc<Mutex<HashSet<Uuid>>>);

impl FirstCut {
    /// True the first time that an operation is seen.
    pub(crate) fn is_first(&self, operation_id: Uuid) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_REMEMBERED {
            seen.clear();
        }
        seen.insert(operation_id)
    }
}
