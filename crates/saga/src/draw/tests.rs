//! That drawings are well-formed, say everything, and show how a saga stands.

use std::collections::BTreeMap;

use makegood_contracts::{command::Direction, reply::Outcome};
use serde_json::json;
use time::macros::datetime;
use uuid::Uuid;

use super::{mermaid, svg};
use crate::{definition::Definition, event::Event, state::State, transition::transition};

const FLOW: &str = "
saga: flow
version: 3
steps:
  - { step: first, command: s.first, compensate: s.undo_first }
  - parallel:
      - { step: left, command: s.left, compensate: s.undo_left, when: '$.first.items[?@.n > 1 && @.tag == \"a\"]' }
      - { step: right, await: signed, deadline: 90m, on_deadline: continue }
  - { step: last, command: s.last, pivot: true }
finally: { command: s.close }
";

fn flow() -> Definition {
    Definition::parse(FLOW).expect("the definition is in order")
}

/// First done, left refused.
fn refused(definition: &Definition) -> State {
    let replied =
        |step: &str, outcome| Event::Replied { step: step.to_owned(), direction: Direction::Do, attempt: 1, outcome };
    let items = json!({"items": [{"n": 2, "tag": "a"}]});
    let events = [
        Event::Started,
        replied("first", Outcome::Done { output: items }),
        replied("left", Outcome::refused("no", "")),
    ];
    let state = State::new(definition, Uuid::nil(), json!({}), BTreeMap::new());
    events
        .iter()
        .fold(state, |state, event| transition(definition, state, event, datetime!(2026-11-24 12:00:00 UTC)).state)
}

#[test]
fn an_svg_is_well_formed_and_says_everything() {
    let definition = flow();
    for state in [None, Some(refused(&definition))] {
        let drawn = svg(&definition, state.as_ref());
        let document = roxmltree::Document::parse(&drawn).expect("it is XML");
        let texts: Vec<&str> =
            document.descendants().filter(|node| node.has_tag_name("text")).filter_map(|node| node.text()).collect();
        for text in [
            "flow v3",
            "left",
            "s.left",
            "s.undo_left",
            "when $.first.items[?@.n > 1 && @.tag == \"a\"]",
            "waits for signed",
            "for 90m",
            "then goes on",
            "at the same time",
            "point of no return",
            "s.close",
            "completed",
            "compensated",
        ] {
            assert!(texts.contains(&text), "`{text}` is missing in {texts:?}");
        }
    }
}

#[test]
fn nothing_is_drawn_outside_the_picture() {
    let drawn = svg(&flow(), None);
    let document = roxmltree::Document::parse(&drawn).expect("it is XML");
    let number = |node: roxmltree::Node<'_, '_>, name: &str| -> usize {
        node.attribute(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    let root = document.root_element();
    for node in document.descendants().filter(|node| node.has_tag_name("rect") || node.has_tag_name("text")) {
        assert!(number(node, "x") + number(node, "width") <= number(root, "width"), "{node:?}");
        assert!(number(node, "y") + number(node, "height") <= number(root, "height"), "{node:?}");
    }
}

#[test]
fn how_a_saga_stands_is_said_in_words_and_in_colour() {
    let definition = flow();
    let state = refused(&definition);
    let drawn = svg(&definition, Some(&state));
    for word in ["[being undone]", "[refused]", "[skipped]"] {
        assert!(drawn.contains(word), "{word}");
    }
    assert!(!svg(&definition, None).contains("[refused]"));
    let drawn = mermaid(&definition, Some(&state));
    assert!(
        drawn.contains("s0[\"first<br/>s.first<br/>being undone\"]") && drawn.contains("style s0 fill:"),
        "{drawn}"
    );
}

#[test]
fn a_mermaid_flowchart_quotes_what_mermaid_would_read() {
    let drawn = mermaid(&flow(), None);
    assert!(drawn.starts_with("flowchart TD\n"));
    assert!(drawn.contains("@.n #gt; 1 #amp;#amp; @.tag == #quot;a#quot;"), "{drawn}");
    assert!(drawn.contains("s3 == \"point of no return\" ==> s4"), "{drawn}");
    assert!(drawn.contains("u1 -.-> u0"), "{drawn}");
}

/// The number in an attribute.
fn number(node: roxmltree::Node<'_, '_>, attribute: &str) -> usize {
    node.attribute(attribute).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{attribute} of {node:?}"))
}

/// Whatever is long or many: no box leaves the picture, and none covers another one of its column.
#[test]
fn every_box_is_within_the_picture_and_beside_the_others() {
    let members = |prefix: &str| {
        let member =
            |n: usize| format!("      - {{ step: {prefix}{n}, command: s.x, compensate: s.undo_{prefix}{n} }}\n");
        (0..12).map(member).collect::<String>()
    };
    let flows = [
        "saga: order-fulfilment-of-the-whole-of-western-europe\nversion: 1\nsteps: [{ step: a, command: s.v }]"
            .to_owned(),
        "saga: a\nversion: 1\nsteps: [{ step: a, command: s.v, compensate: s.u }]".to_owned(),
        format!("saga: a\nversion: 1\nsteps:\n  - parallel:\n{}", members("l")),
        format!("saga: a\nversion: 1\nsteps:\n  - parallel:\n{}  - parallel:\n{}", members("l"), members("r")),
    ];
    for flow in flows {
        let definition = Definition::parse(&flow).expect("in order");
        let drawn = svg(&definition, None);
        let document = roxmltree::Document::parse(&drawn).expect("it is XML");
        let picture = document.root_element();
        let (width, height) = (number(picture, "width"), number(picture, "height"));
        let boxes = document.descendants().filter(|node| node.has_tag_name("rect") && node.has_attribute("class"));
        let mut lowest_undo = 0;
        for one in boxes {
            let (right, bottom) = (number(one, "x") + number(one, "width"), number(one, "y") + number(one, "height"));
            assert!(right <= width && bottom <= height, "{one:?} in {width}x{height}");
            if one.attribute("class") == Some("undo") {
                assert!(number(one, "y") >= lowest_undo, "{one:?} covers the one above it");
                lowest_undo = bottom;
            }
        }
    }
}

#[test]
fn what_xml_and_mermaid_cannot_say_as_it_is_is_written_otherwise() {
    let yaml =
        "saga: a\nversion: 1\nsteps: [{ step: a, command: s.v, when: { path: $.input.x, equals: \"#9829;\\uFFFE\" } }]";
    let definition = Definition::parse(yaml).expect("in order");
    let drawn = svg(&definition, None);
    roxmltree::Document::parse(&drawn).expect("it is XML");
    assert!(!drawn.contains('\u{fffe}'));
    assert!(mermaid(&definition, None).contains("#35;9829;"));
}
