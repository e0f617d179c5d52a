//! A saga's state reduced to what matters for what can happen next, so that equal worlds are seen to be equal.

use std::hash::{Hash, Hasher};

use makegood_saga::state::State;
use time::{Duration, OffsetDateTime, macros::datetime};

/// The one instant of this world.
pub(super) const NOW: OffsetDateTime = datetime!(2026-11-24 12:00:00 UTC);
/// When anything is due that is not made to be due.
pub(super) const LATER: OffsetDateTime = NOW.saturating_add(Duration::days(1));

/// A state whose numbers and words that change nothing are taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct Saga(pub State);

impl Eq for Saga {}

impl Saga {
    pub(super) fn reduced(mut state: State) -> Self {
        for step in &mut state.steps {
            step.attempt = 0;
            step.due = step.due.map(|_| LATER);
            step.pending_until = step.pending_until.map(|_| LATER);
            step.needs_person = step.needs_person.take().map(|_| String::new());
        }
        state.reasons.truncate(1);
        for reason in state.reasons.iter_mut().chain(&mut state.called_off) {
            reason.detail.clear();
            reason.code.clear();
        }
        if let Some(parked) = &mut state.parked {
            parked.why.clear();
        }
        if let Some(paused) = &mut state.paused {
            paused.since = NOW;
        }
        Self(state)
    }

    /// The same saga at the moment in which one step's timer fires and no other's.
    pub(super) fn at_the_time_of(&self, index: usize, patience_is_over: bool) -> State {
        let mut state = self.0.clone();
        let step = &mut state.steps[index];
        step.due = step.due.map(|_| NOW);
        step.pending_until = step.pending_until.map(|_| if patience_is_over { NOW } else { LATER });
        state
    }
}

/// Everything that tells two reduced states apart. The context follows from which steps are done.
impl Hash for Saga {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let state = &self.0;
        (state.phase as u8).hash(hasher);
        state.stage.hash(hasher);
        for step in &state.steps {
            (step.status as u8, step.failures, step.due.is_some(), step.pending_until.is_some()).hash(hasher);
            step.needs_person.is_some().hash(hasher);
        }
        for signal in state.signals.keys() {
            signal.hash(hasher);
        }
        state.reasons.first().map(|reason| &reason.step).hash(hasher);
        state.called_off.as_ref().map(|reason| &reason.step).hash(hasher);
        state.parked.as_ref().map(|parked| &parked.step).hash(hasher);
        state.paused.is_some().hash(hasher);
    }
}
