//! When a saga is stuck: it is live, neither parked nor paused, and has been at its step for longer than it should take.
//!
//! A command may take as long as its definition says with `stuck_after`; where it says nothing, as long as its attempts,
//! `timeout × attempts`, but no longer than [`LONGEST_ACTIVE`]. A step that waits for someone (an await, a pending payment)
//! may take as long as its deadline, and [`GRACE`]. Whatever the step, a saga whose own timer is overdue by [`GRACE`] is
//! stuck too: nobody looks after it.

use std::time::Duration;

use makegood_saga::definition::{CommandStep, Deadline, Definition, FINALLY, StepKind};

use crate::definitions::Definitions;

/// From the pivot on a step has an hour of attempts. Nobody should wait so long to hear of it.
const LONGEST_ACTIVE: Duration = Duration::from_secs(5 * 60);
/// A deadline is acted on within a second or so; a minute of silence means that nobody does.
const GRACE: Duration = Duration::from_secs(60);
/// A pending step is asked again each 30 s, and `wake_at` moves with every look by five: no timer of a saga that is at work
/// is further ahead than its longest timeout or delay, or this.
const SHORTEST_HORIZON: Duration = Duration::from_secs(60);

/// The limits of every step of every version, as the columns of the statement that uses them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct StuckLimits {
    /// A stuck saga's timer is no further ahead: the index on timers then finds all of them.
    pub(crate) horizon_seconds: f64,
    pub(crate) definitions: Vec<String>,
    pub(crate) versions: Vec<i32>,
    pub(crate) steps: Vec<String>,
    /// While it is out, or being undone.
    pub(crate) active_seconds: Vec<f64>,
    /// While it waits for someone; none where only the saga's own timer tells.
    pub(crate) waiting_seconds: Vec<Option<f64>>,
}

/// The condition on a row of `saga`, with the names of the parameters that carry [`StuckLimits`].
macro_rules! is_stuck {
    ($horizon:literal, $definitions:literal, $versions:literal, $steps:literal, $active:literal, $waiting:literal) => {
        concat!(
            "(state in ('running', 'waiting', 'compensating', 'finishing') and wake_at <= now() + make_interval(secs => ",
            $horizon,
            "::float8) and (wake_at < now() - interval '60 seconds' or exists (select from unnest(",
            $definitions,
            "::text[], ",
            $versions,
            "::int[], ",
            $steps,
            "::text[], ",
            $active,
            "::float8[], ",
            $waiting,
            r"::float8[]) as l (definition, version, step, active, waiting)
              where l.definition = saga.definition and l.version = saga.version and l.step = saga.step
                and saga.step_since < now() - make_interval(
                    secs => case when saga.state = 'waiting' then l.waiting else l.active end))))"
        )
    };
}
pub(crate) use is_stuck;

impl StuckLimits {
    pub(crate) fn of(definitions: &Definitions) -> Self {
        let mut limits = Self { horizon_seconds: SHORTEST_HORIZON.as_secs_f64(), ..Self::default() };
        for definition in definitions.all() {
            limits.add(definition);
        }
        limits
    }

    fn add(&mut self, definition: &Definition) {
        let steps = definition.steps.iter().map(|step| (step.name.as_str(), &step.kind));
        for (name, kind) in steps {
            match kind {
                StepKind::Command(step) => self.add_command(definition, name, step),
                StepKind::Await(step) => {
                    let waiting = match step.deadline {
                        Deadline::After(duration) => Some(duration + GRACE),
                        Deadline::At(_) => None,
                    };
                    self.push(definition, name, GRACE, waiting);
                }
            }
        }
        if let Some(step) = &definition.finally {
            self.add_command(definition, FINALLY, step);
        }
    }

    fn add_command(&mut self, definition: &Definition, name: &str, step: &CommandStep) {
        let attempts = step.timeout.saturating_mul(step.retry.attempts).min(LONGEST_ACTIVE).max(step.timeout);
        let horizon = step.timeout.max(step.retry.max).max(step.undo_retry.max).as_secs_f64();
        self.horizon_seconds = self.horizon_seconds.max(horizon);
        let active = step.stuck_after.unwrap_or(attempts);
        self.push(definition, name, active, Some(attempts + step.pending_deadline + GRACE));
    }

    fn push(&mut self, definition: &Definition, step: &str, active: Duration, waiting: Option<Duration>) {
        self.definitions.push(definition.name.clone());
        self.versions.push(i32::try_from(definition.version).unwrap_or(i32::MAX));
        self.steps.push(step.to_owned());
        self.active_seconds.push(active.as_secs_f64());
        self.waiting_seconds.push(waiting.map(|waiting| waiting.as_secs_f64()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_may_take_as_long_as_it_says_or_as_its_attempts_and_a_wait_as_long_as_its_deadline() {
        let yaml = "
saga: trip
version: 3
steps:
  - { step: seat, command: train.hold_seat, timeout: 10s, retry: { attempts: 3 } }
  - { step: consent, await: consent, deadline: 2h, on_deadline: park }
  - { step: departure, await: departure, deadline: $.seat.departs_at, on_deadline: park }
  - { step: ticket, command: train.print_ticket, pivot: true, timeout: 20m }
  - { step: bill, command: bank.send_bill }
  - { step: seal, command: train.print_seal, stuck_after: 45m, pending_deadline: 1h }
finally: { command: trips.close, timeout: 1s, retry: { attempts: 2 }, stuck_after: 7s }
";
        let definition = Definition::parse(yaml).expect("in order");
        let mut limits = StuckLimits::default();
        limits.add(&definition);
        assert_eq!(limits.steps, ["seat", "consent", "departure", "ticket", "bill", "seal", FINALLY]);
        assert_eq!(limits.active_seconds, [30.0, 60.0, 60.0, 1200.0, 300.0, 2700.0, 7.0]);
        assert_eq!(limits.waiting_seconds[1..3], [Some(7260.0), None]);
        assert_eq!(limits.waiting_seconds[0], Some(30.0 + 900.0 + 60.0));
        assert_eq!(
            limits.waiting_seconds[5],
            Some(300.0 + 3600.0 + 60.0),
            "whom it waits for has the deadline, not less"
        );
        assert_eq!(limits.horizon_seconds, 1200.0);
    }
}
