//! The definitions that are looked at: all that ship, and small ones with one feature each, since only small ones can be
//! looked at from every side.

use std::{fs, path::Path};

use makegood_saga::definition::Definition;

/// Name and text of each definition that ships.
pub(crate) fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../saga-definitions");
    let mut found: Vec<(String, String)> = fs::read_dir(&folder)
        .expect("definitions can be listed")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_stem().expect("a name").display().to_string(), fs::read_to_string(&path).expect("text")))
        .collect();
    found.sort();
    assert!(found.iter().any(|(name, _)| name == "checkout.v2"), "the checkout ships");
    found
}

/// One feature each.
pub(crate) const SMALL: [(&str, &str); 9] = [
    (
        "sequence",
        "
saga: sequence
version: 1
steps:
  - { step: one, command: s.one, compensate: s.undo_one }
  - { step: two, command: s.two, compensate: s.undo_two }
  - { step: three, command: s.three, compensate: s.undo_three }
",
    ),
    (
        "pivot",
        "
saga: pivot
version: 1
steps:
  - { step: one, command: s.one, compensate: s.undo_one }
  - { step: paid, command: s.paid, pivot: true }
  - { step: two, command: s.two }
finally: { command: s.tell }
",
    ),
    (
        "parallel",
        "
saga: parallel
version: 1
steps:
  - { step: one, command: s.one, compensate: s.undo_one }
  - parallel:
      - { step: left, command: s.left, compensate: s.undo_left }
      - { step: right, command: s.right, compensate: s.undo_right }
  - { step: two, command: s.two, compensate: s.undo_two }
",
    ),
    (
        "parallel_after_pivot",
        "
saga: parallel-after-pivot
version: 1
steps:
  - { step: one, command: s.one, compensate: s.undo_one }
  - { step: paid, command: s.paid, pivot: true }
  - parallel:
      - { step: left, command: s.left }
      - { step: right, command: s.right }
finally: { command: s.tell }
",
    ),
    (
        "await",
        "
saga: await
version: 1
steps:
  - { step: one, command: s.one, compensate: s.undo_one }
  - { step: confirmed, await: confirmed, deadline: 15m, on_deadline: compensate }
  - { step: two, command: s.two, compensate: s.undo_two }
  - { step: looked_at, await: looked_at, deadline: 15m, on_deadline: park }
  - { step: rated, await: rated, deadline: 15m, on_deadline: continue }
finally: { command: s.tell }
",
    ),
    (
        "await_in_group",
        "
saga: await-in-group
version: 1
steps:
  - { step: one, command: s.one, compensate: s.undo_one }
  - parallel:
      - { step: left, command: s.left, compensate: s.undo_left }
      - { step: looked_at, await: looked_at, deadline: 15m, on_deadline: park }
",
    ),
    (
        "when",
        "
saga: when
version: 1
steps:
  - { step: one, command: s.one, compensate: s.undo_one }
  - { step: never, command: s.never, compensate: s.undo_never, when: $.one.wanted }
  - parallel:
      - { step: left, command: s.left, compensate: s.undo_left, when: { path: $.one.wanted, equals: null } }
      - { step: right, command: s.right, compensate: s.undo_right, when: $.one.wanted }
  - { step: paid, command: s.paid, pivot: true }
",
    ),
    (
        "pending",
        "
saga: pending
version: 1
steps:
  - { step: one, command: s.one, compensate: s.undo_one }
  - { step: two, command: s.two, compensate: s.undo_two, pending: s.tell_pending }
  - { step: paid, command: s.paid, pivot: true, pending: s.tell_pending }
",
    ),
    (
        "no pivot",
        "
saga: no-pivot
version: 1
steps:
  - parallel:
      - { step: left, command: s.left, compensate: s.undo_left, retry: { attempts: 1 } }
      - { step: right, command: s.right, compensate: s.undo_right, retry: { attempts: 2 } }
finally: { command: s.close }
",
    ),
];

pub(crate) fn parse(yaml: &str) -> Definition {
    Definition::parse(yaml).expect("it is in order")
}
