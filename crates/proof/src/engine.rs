//! The transition function under test: the orchestrator's own, and on request perverted by one [`Bug`].

use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::{
    definition::Definition,
    effect::{Effect, Send},
    event::Event,
    state::{Phase, State, Status},
    transition::{Transition, transition},
};
use time::OffsetDateTime;

use crate::bug::Bug;

/// The definition as an engine with this bug reads it.
pub fn definition_under(bug: Option<Bug>, mut definition: Definition) -> Definition {
    if bug == Some(Bug::PivotIgnored) {
        definition.pivot = None;
    }
    definition
}

/// What an event does to a saga.
pub fn step(bug: Option<Bug>, definition: &Definition, state: State, event: &Event, now: OffsetDateTime) -> Transition {
    match bug {
        Some(Bug::UndoInOrder) => undo_in_order(definition, transition(definition, state, event, now)),
        Some(Bug::UndoSkippedForUnknown) => {
            let out = indexes(&state, &[Status::Sent, Status::Retrying, Status::Pending]);
            let mut moved = transition(definition, state, event, now);
            moved.effects.retain(|effect| {
                !matches!(effect, Effect::Send(send) if send.direction == Direction::Undo && out.contains(&send.index))
            });
            let given_up = indexes(&moved.state, &[Status::Undoing]).into_iter().filter(|index| out.contains(index));
            let given_up: Vec<usize> = given_up.collect();
            feign_done(definition, moved, &given_up, Direction::Undo, now)
        }
        Some(Bug::AnswerTakenForAnother) => {
            transition(definition, state.clone(), &mistaken(&state, definition, event), now)
        }
        Some(Bug::FinallyNotAwaited) => {
            let moved = transition(definition, state, event, now);
            let last = definition.steps.len();
            let is_out = moved.state.phase == Phase::Finally && moved.state.steps[last].status == Status::Sent;
            let feigned: &[usize] = if is_out { &[last] } else { &[] };
            feign_done(definition, moved, feigned, Direction::Do, now)
        }
        Some(Bug::SiblingsNotAwaited) => {
            let moved = transition(definition, state, event, now);
            let stage = definition.stages.get(moved.state.stage).cloned().unwrap_or_default();
            let has = |status| stage.clone().any(|index| moved.state.steps[index].status == status);
            let is_begun = moved.state.phase == Phase::Forward && has(Status::Done);
            let is_out = |index: &usize| is_begun && moved.state.steps[*index].status == Status::Sent;
            let out: Vec<usize> = stage.clone().filter(is_out).collect();
            feign_done(definition, moved, &out, Direction::Do, now)
        }
        _ => transition(definition, state, event, now),
    }
}

fn indexes(state: &State, statuses: &[Status]) -> Vec<usize> {
    (0..state.steps.len()).filter(|index| statuses.contains(&state.steps[*index].status)).collect()
}

/// As if these steps had answered that they are done.
fn feign_done(
    definition: &Definition,
    mut moved: Transition,
    steps: &[usize],
    direction: Direction,
    now: OffsetDateTime,
) -> Transition {
    for index in steps {
        let event = Event::Replied {
            step: definition.name_of(*index).to_owned(),
            direction,
            attempt: 1,
            outcome: Outcome::done(),
        };
        let next = transition(definition, moved.state, &event, now);
        moved.effects.extend(next.effects);
        moved.state = next.state;
    }
    moved
}

/// The undos of all earlier stages go out together with the first one, from the first step on.
fn undo_in_order(definition: &Definition, mut moved: Transition) -> Transition {
    let is_undo = |effect: &Effect| matches!(effect, Effect::Send(send) if send.direction == Direction::Undo);
    if !moved.effects.iter().any(is_undo) {
        return moved;
    }
    let earlier = definition.stages.get(moved.state.stage).map_or(0, |stage| stage.start);
    let can_undo = |index: &usize| {
        moved.state.steps[*index].status == Status::Done
            && definition.command_at(*index).is_some_and(|command| command.compensate.is_some())
    };
    let early = (0..earlier).filter(can_undo).map(|index| {
        let step = definition.name_of(index).to_owned();
        Effect::Send(Send { index, step, direction: Direction::Undo, attempt: 1, deadline: None })
    });
    moved.effects = early.chain(moved.effects).collect();
    moved
}

/// The event of an engine that does not look which step an answer belongs to.
fn mistaken(state: &State, definition: &Definition, event: &Event) -> Event {
    let Event::Replied { step, direction: Direction::Do, attempt, outcome: outcome @ Outcome::Done { .. } } = event
    else {
        return event.clone();
    };
    let is_repeated = definition.index_of(step).is_some_and(|index| state.steps[index].status == Status::Done);
    match indexes(state, &[Status::Sent]).first() {
        Some(out) if is_repeated => Event::Replied {
            step: definition.name_of(*out).to_owned(),
            direction: Direction::Do,
            attempt: *attempt,
            outcome: outcome.clone(),
        },
        _ => event.clone(),
    }
}
