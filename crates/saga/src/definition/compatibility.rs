//! Whether a saga that began with one version of a definition can go on with another.
//!
//! What has begun must mean the same in both: the same steps in the same stages, done and undone by the same commands, with the
//! same input where it can be undone, and the pivot where it was. What has not begun may differ in every way. Nothing new may stand before what has begun,
//! since it would never run.

use std::collections::BTreeSet;

use super::{Definition, Step, StepKind};

/// Everything that speaks against the move, one sentence each; empty when it is possible. `begun` are the indices of the
/// steps that have begun in `from`.
pub fn reasons_against(from: &Definition, to: &Definition, begun: &[usize]) -> Vec<String> {
    if from.name != to.name {
        return vec![format!("`{}` and `{}` are different definitions", from.name, to.name)];
    }
    let comparison = Comparison { from, to, begun, reached: reached(from, begun) };
    let mut reasons: Vec<String> = begun.iter().filter_map(|index| comparison.against_step(*index)).collect();
    reasons.extend(comparison.against_new_steps());
    reasons.extend(comparison.against_pivot());
    reasons
}

/// How many stages have begun.
fn reached(from: &Definition, begun: &[usize]) -> usize {
    begun.iter().filter_map(|index| from.stage_of(*index)).max().map_or(0, |stage| stage + 1)
}

struct Comparison<'a> {
    from: &'a Definition,
    to: &'a Definition,
    begun: &'a [usize],
    reached: usize,
}

impl Comparison<'_> {
    fn against_step(&self, index: usize) -> Option<String> {
        let step = self.from.steps.get(index)?;
        let name = &step.name;
        let version = self.to.version;
        let Some((index_there, there)) = self.to.steps.iter().enumerate().find(|(_, there)| there.name == *name) else {
            return Some(format!("`{name}` has begun, and version {version} has no such step"));
        };
        if let Some(difference) = difference(step, there) {
            return Some(format!("`{name}` has begun, and {difference} in version {version}"));
        }
        let (stage, stage_there) = (self.from.stage_of(index)?, self.to.stage_of(index_there)?);
        (stage != stage_there).then(|| {
            format!(
                "`{name}` has begun as stage {} and is stage {} in version {version}: what has begun is undone in the \
                 order in which it ran",
                stage + 1,
                stage_there + 1
            )
        })
    }

    fn against_new_steps(&self) -> Vec<String> {
        let begun: BTreeSet<&str> = self.begun.iter().map(|index| self.from.name_of(*index)).collect();
        let end = self.to.stages.iter().take(self.reached).next_back().map_or(0, |stage| stage.end);
        let stands_too_early = |step: &&Step| !begun.contains(step.name.as_str());
        self.to.steps[..end]
            .iter()
            .filter(stands_too_early)
            .map(|step| {
                format!(
                    "`{}` has not begun, and stands in version {} where the saga has passed: it would never run",
                    step.name, self.to.version
                )
            })
            .collect()
    }

    /// The pivot decides whether there is a way back, so it must not cross what has begun.
    fn against_pivot(&self) -> Option<String> {
        let begun_pivot = |definition: &Definition| {
            let pivot = definition.pivot?;
            (definition.stage_of(pivot)? < self.reached).then(|| definition.name_of(pivot).to_owned())
        };
        let version = self.to.version;
        match (begun_pivot(self.from), begun_pivot(self.to)) {
            (Some(here), Some(there)) if here == there => None,
            (None, None) => None,
            (Some(here), Some(there)) => {
                Some(format!("the pivot `{here}` has been reached, and in version {version} it is `{there}`"))
            }
            (Some(here), None) => {
                Some(format!("the pivot `{here}` has been reached, and is none of what has begun in version {version}"))
            }
            (None, Some(there)) => Some(format!(
                "the pivot of version {version}, `{there}`, has begun when there still was a way back from it"
            )),
        }
    }
}

/// What is different about how a step is done or undone.
fn difference(here: &Step, there: &Step) -> Option<String> {
    match (&here.kind, &there.kind) {
        (StepKind::Command(here), StepKind::Command(there)) if here.command != there.command => {
            Some(format!("its command `{}` is `{}`", here.command, there.command))
        }
        (StepKind::Command(here), StepKind::Command(there)) if here.compensate != there.compensate => {
            let name =
                |command: &Option<String>| command.as_deref().map_or("none".to_owned(), |name| format!("`{name}`"));
            Some(format!("what undoes it, {}, is {}", name(&here.compensate), name(&there.compensate)))
        }
        // Its undo would go with another input than its action.
        (StepKind::Command(here), StepKind::Command(there))
            if here.compensate.is_some() && here.input != there.input =>
        {
            Some("what undoes it would go with another input".to_owned())
        }
        (StepKind::Await(here), StepKind::Await(there)) if here.signal != there.signal => {
            Some(format!("the signal `{}` that it awaits is `{}`", here.signal, there.signal))
        }
        (StepKind::Command(_), StepKind::Await(_)) => Some("is an await".to_owned()),
        (StepKind::Await(_), StepKind::Command(_)) => Some("is a command".to_owned()),
        (StepKind::Command(_), StepKind::Command(_)) | (StepKind::Await(_), StepKind::Await(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: &str = "
saga: trip
version: 1
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat }
  - { step: consent, await: consent, deadline: 1d, on_deadline: park }
  - { step: pay, command: bank.pay, pivot: true }
";

    /// Which of the expected reasons are missing, when the first two steps have begun.
    fn against(yaml: &str) -> Vec<String> {
        let parse = |yaml| Definition::parse(yaml).expect("in order");
        reasons_against(&parse(BEGUN), &parse(yaml), &[0, 1])
    }

    #[test]
    fn what_comes_later_may_change_in_every_way() {
        let later = "
saga: trip
version: 2
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat, timeout: 9s }
  - { step: consent, await: consent, deadline: 2d, on_deadline: compensate }
  - { step: insure, command: insurer.insure, compensate: insurer.cancel }
  - { step: charge, command: bank.charge, pivot: true }
  - { step: ticket, command: train.print_ticket }
";
        assert_eq!(against(later), Vec::<String>::new());
    }

    #[test]
    fn everything_that_speaks_against_it_is_told() {
        for (yaml, expected) in [
            ("saga: tour\nversion: 2\nsteps: [{ step: a, command: s.v }]", vec!["different definitions"]),
            (
                "saga: trip\nversion: 2\nsteps: [{ step: a, command: s.v }]",
                vec!["no such step", "no such step", "never run"],
            ),
            (
                "
saga: trip
version: 2
steps:
  - { step: consent, await: agreed, deadline: 1d, on_deadline: park }
  - { step: seat, command: train.hold_seat, compensate: train.free_seat }
",
                vec!["`train.free_seat`", "`agreed`"],
            ),
            (
                "
saga: trip
version: 2
steps:
  - { step: greet, command: mail.greet }
  - { step: seat, command: train.hold_seat, compensate: train.release_seat }
  - { step: consent, await: consent, deadline: 1d, on_deadline: park }
",
                vec!["is stage 2", "is stage 3", "`greet` has not begun"],
            ),
            (
                "
saga: trip
version: 2
steps:
  - parallel:
      - { step: seat, command: train.hold_seat, compensate: train.release_seat }
      - { step: room, command: hotel.hold_room }
  - { step: consent, command: mail.ask }
",
                vec!["is a command", "`room` has not begun"],
            ),
            (
                "
saga: trip
version: 2
steps:
  - { step: seat, command: train.hold_seat, pivot: true }
  - { step: consent, await: consent, deadline: 1d, on_deadline: park }
",
                vec!["what undoes it, `train.release_seat`, is none", "`seat`, has begun when"],
            ),
            (
                "
saga: trip
version: 2
steps:
  - { step: seat, command: train.hold_seat, compensate: train.release_seat, input: { seat: $.input.seat } }
  - { step: consent, await: consent, deadline: 1d, on_deadline: park }
",
                vec!["`seat` has begun, and what undoes it would go with another input"],
            ),
        ] {
            let told = against(yaml);
            assert_eq!(told.len(), expected.len(), "{told:?}");
            for expected in expected {
                assert!(told.iter().any(|told| told.contains(expected)), "`{expected}` is not in {told:?}");
            }
        }
    }

    #[test]
    fn a_pivot_that_was_reached_stays() {
        let parse = |yaml: &str| Definition::parse(yaml).expect("in order");
        let before =
            parse("saga: a\nversion: 1\nsteps: [{step: x, command: s.x}, {step: y, command: s.y, pivot: true}]");
        let moved =
            parse("saga: a\nversion: 2\nsteps: [{step: x, command: s.x, pivot: true}, {step: y, command: s.y}]");
        let gone = parse("saga: a\nversion: 2\nsteps: [{step: x, command: s.x}, {step: y, command: s.y}]");
        assert!(reasons_against(&before, &moved, &[0, 1])[0].contains("in version 2 it is `x`"));
        assert!(reasons_against(&before, &gone, &[0, 1])[0].contains("none of what has begun"));
        assert!(reasons_against(&before, &gone, &[0]).is_empty());
    }
}
