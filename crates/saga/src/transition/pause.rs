//! Holding a saga and letting it go on.
//!
//! A paused saga takes in what comes (replies are decided, signals are kept) and sends nothing. Its clock stands still:
//! whatever happens is dated to the instant of the pause, and on resuming every deadline moves by as long as the pause
//! took. One kind runs on: an `await` whose deadline is a time in the context, such as the end of a stock hold, because
//! that time is a fact outside of the saga.
//!
//! A saga may be paused and parked at once. Resuming it then only lifts the pause.

use time::{Duration, OffsetDateTime};

use super::{Run, Verdict};
use crate::{
    definition::{Deadline, StepKind},
    event::Event,
    state::{Paused, State, Status},
};

/// The time by the saga's own clock.
pub(super) fn clock(state: &State, event: &Event, now: OffsetDateTime) -> OffsetDateTime {
    match &state.paused {
        Some(paused) if !matches!(event, Event::Resumed { .. }) => paused.since,
        Some(_) | None => now,
    }
}

impl Run<'_> {
    pub(super) fn on_pause(&mut self, actor: &str, reason: &str) -> Verdict {
        if let Some(paused) = &self.state.paused {
            return Verdict::Refused(format!("the saga is paused already, by {}: {}", paused.actor, paused.reason));
        }
        self.state.paused = Some(Paused { since: self.now, actor: actor.to_owned(), reason: reason.to_owned() });
        Verdict::Moved
    }

    /// Goes on where it stood. What is out is sent again: the participants may have been the reason for the pause.
    pub(super) fn on_resume(&mut self) -> Verdict {
        let Some(paused) = self.state.paused.take() else {
            return Verdict::Refused("the saga is not paused".to_owned());
        };
        let stood_still = (self.now - paused.since).max(Duration::ZERO);
        for index in 0..self.state.steps.len() {
            let runs_on = self.runs_on_while_paused(index);
            let step = &mut self.state.steps[index];
            step.due = step.due.map(|due| if runs_on { due } else { due.saturating_add(stood_still) });
            step.pending_until = step.pending_until.map(|until| until.saturating_add(stood_still));
        }
        if self.state.parked.is_none() {
            self.send_again_what_is_out();
        }
        Verdict::Moved
    }

    fn runs_on_while_paused(&self, index: usize) -> bool {
        let awaits_a_time = self.definition.steps.get(index).is_some_and(|step| match &step.kind {
            StepKind::Await(step) => matches!(step.deadline, Deadline::At(_)),
            StepKind::Command(_) => false,
        });
        awaits_a_time && self.state.steps[index].status == Status::Waiting
    }
}
