//! Definitions that nobody wrote, in worlds that do anything: whatever a shop writes down, its sagas keep their promises.

use makegood_proof::model::{Action, Model};
use makegood_saga::{
    definition::{Definition, StepKind},
    state::{State, Status},
};
use proptest::prelude::*;

/// Things that happen in one walk: several times what the longest generated definition needs, there and back.
const WALK: usize = 150;
/// More than a checker can have, since a walk sees one history only.
const FAULTS: u8 = 12;

/// A stage as it is made up; what the rules forbid where it stands is left out when it is written.
#[derive(Debug, Clone)]
enum Stage {
    Step(Member),
    Await { on_deadline: usize },
    Group(Vec<Member>),
}

#[derive(Debug, Clone, Copy)]
struct Member {
    can_undo: bool,
    may_be_pending: bool,
    when: usize,
}

fn member() -> impl Strategy<Value = Member> {
    let when = prop_oneof![6 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    (prop::bool::weighted(0.8), prop::bool::weighted(0.3), when).prop_map(|(can_undo, may_be_pending, when)| Member {
        can_undo,
        may_be_pending,
        when,
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![
        5 => member().prop_map(Stage::Step),
        1 => (0..3_usize).prop_map(|on_deadline| Stage::Await { on_deadline }),
        2 => prop::collection::vec(member(), 2..4).prop_map(Stage::Group),
    ]
}

/// The text of a definition that is in order.
fn definition() -> impl Strategy<Value = String> {
    let pivot = prop::option::of(0..6_usize);
    (prop::collection::vec(stage(), 1..6), pivot, any::<bool>()).prop_map(|(stages, pivot, has_finally)| {
        let mut yaml = "saga: made-up\nversion: 1\nsteps:\n".to_owned();
        let mut count = 0;
        for (place, stage) in stages.iter().enumerate() {
            let is_committed = pivot.is_some_and(|pivot| place >= pivot.min(stages.len()));
            if pivot == Some(place) {
                yaml += "  - { step: paid, command: s.paid, pivot: true }\n";
            }
            match stage {
                Stage::Step(one) => yaml += &format!("  - {}\n", written(*one, &mut count, is_committed)),
                Stage::Await { on_deadline } => {
                    let on_deadline =
                        ["continue", "park", "compensate"][on_deadline % if is_committed { 2 } else { 3 }];
                    count += 1;
                    yaml += &format!(
                        "  - {{ step: a{count}, await: a{count}, deadline: 1m, on_deadline: {on_deadline} }}\n"
                    );
                }
                Stage::Group(members) => {
                    yaml += "  - parallel:\n";
                    for one in members {
                        yaml += &format!("      - {}\n", written(*one, &mut count, is_committed));
                    }
                }
            }
        }
        if has_finally {
            yaml += "finally: { command: s.tell }\n";
        }
        yaml
    })
}

fn written(Member { can_undo, may_be_pending, when }: Member, count: &mut usize, is_committed: bool) -> String {
    *count += 1;
    let undo = if can_undo && !is_committed { format!(", compensate: s.undo_{count}") } else { String::new() };
    let pending = if may_be_pending { ", pending: s.tell_pending" } else { "" };
    // What there is to read is null, so the one condition holds and the other does not.
    let when = ["", ", when: $.input.wanted", ", when: { path: $.input.wanted, equals: null }"][when];
    format!("{{ step: s{count}, command: s.do_{count}{undo}{pending}{when} }}")
}

/// A state written down and read back, with the outputs from where the log has them.
fn read_back(definition: &Definition, state: &State) -> State {
    let text = serde_json::to_string(state).expect("a state is JSON");
    let mut read: State = serde_json::from_str(&text).expect("it was just written");
    let mut outputs = state.context.clone();
    let input = outputs.remove("input").expect("every saga has one");
    for step in &definition.steps {
        if matches!(step.kind, StepKind::Await(_)) {
            outputs.remove(&step.name);
        }
    }
    read.restore(definition, state.saga_id, input, outputs);
    read
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_definition_keeps_every_promise(yaml in definition(), choices in prop::collection::vec(any::<u16>(), WALK)) {
        let parsed = Definition::parse(&yaml);
        prop_assert!(parsed.is_ok(), "{yaml}{parsed:?}");
        let model = Model::new(parsed.expect("it was just looked at"), None, FAULTS);
        let mut world = model.beginning();
        let mut history: Vec<Action> = Vec::new();
        for choice in choices {
            let mut actions = Vec::new();
            model.what_may_happen(&world, &mut actions);
            if actions.is_empty() {
                break;
            }
            let action = actions.swap_remove(usize::from(choice) % actions.len());
            if let Some(next) = model.next(&world, &action) {
                history.push(action);
                world = next;
                prop_assert_eq!(world.broken, None, "{}{:#?}", yaml, history);
                prop_assert_eq!(&read_back(&model.definition, &world.stored.0), &world.stored.0);
            }
        }
        prop_assert_eq!(model.broken_when_healed(&world), None, "{}{:#?}", yaml, history);
    }

    #[test]
    fn a_step_is_done_once_and_undone_at_most_once(yaml in definition(), choices in prop::collection::vec(any::<u16>(), WALK)) {
        let model = Model::new(Definition::parse(&yaml).expect("it is in order"), None, FAULTS);
        let mut world = model.beginning();
        for choice in choices {
            let mut actions = Vec::new();
            model.what_may_happen(&world, &mut actions);
            let Some(next) = (!actions.is_empty())
                .then(|| model.next(&world, &actions[usize::from(choice) % actions.len()]))
                .flatten()
            else {
                continue;
            };
            for (before, after) in world.stored.0.steps.iter().zip(&next.stored.0.steps) {
                let is_on_its_way_back = matches!(after.status, Status::Undoing | Status::UndoRetrying | Status::Undone);
                let is_kept = match before.status {
                    Status::Done => after.status == Status::Done || is_on_its_way_back,
                    Status::Undoing | Status::UndoRetrying => is_on_its_way_back,
                    Status::Undone => after.status == Status::Undone,
                    Status::Idle
                    | Status::Sent
                    | Status::Retrying
                    | Status::Pending
                    | Status::Waiting
                    | Status::Refused
                    | Status::Unknown
                    | Status::Skipped
                    | Status::DoneAnyway => true,
                };
                prop_assert!(is_kept, "{:?} became {:?} in\n{}", before.status, after.status, yaml);
            }
            world = next;
        }
    }

    #[test]
    fn no_text_makes_parsing_panic(text in any::<String>()) {
        // Whether it is refused does not matter here.
        drop(Definition::parse(&text));
    }

    #[test]
    fn no_damage_to_a_definition_makes_parsing_panic(
        yaml in definition(),
        place in any::<prop::sample::Index>(),
        length in 0..40_usize,
        put in "[\\PC\n]{0,12}",
    ) {
        let characters: Vec<char> = yaml.chars().collect();
        let start = place.index(characters.len());
        let end = (start + length).min(characters.len());
        let damaged: String = characters[..start].iter().copied().chain(put.chars()).chain(characters[end..].iter().copied()).collect();
        drop(Definition::parse(&damaged));
    }
}
