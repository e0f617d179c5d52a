//! The schemas of `docs/envelope` say what this crate reads and writes. Participants in other languages are built on them,
//! so neither side may drift: every field is there, and may be left out by the one exactly where it may by the other.

use jsonschema::Validator;
use makegood_contracts::{
    command::{Command, Direction, StepKey},
    orchestrator::StartSaga,
    reply::{Outcome, Reply},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use time::macros::datetime;
use uuid::Uuid;

const COMMAND: &str = include_str!("../../../docs/envelope/command.schema.json");
const REPLY: &str = include_str!("../../../docs/envelope/reply.schema.json");
const START_SAGA: &str = include_str!("../../../docs/envelope/start_saga.schema.json");

/// A schema, and the Rust type of the items of the messages that it describes.
struct Envelope {
    schema: Value,
    validator: Validator,
    is_read: fn(&Value) -> bool,
}

impl Envelope {
    fn of<T: DeserializeOwned>(schema: &str) -> Self {
        let schema: Value = serde_json::from_str(schema).expect("a schema is JSON");
        jsonschema::meta::validate(&schema).expect("a schema follows the draft that it names");
        let validator =
            jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema can be compiled");
        Self { schema, validator, is_read: |item| serde_json::from_value::<T>(item.clone()).is_ok() }
    }

    fn accepts(&self, item: &Value) -> bool {
        self.validator.is_valid(&json!([item]))
    }

    /// Panics unless the type and the schema agree on the item, on the names of its fields under `definition`, and on which
    /// of them can be left out.
    #[track_caller]
    fn agrees_on(&self, definition: &str, item: &impl Serialize) {
        let item = serde_json::to_value(item).expect("encodes");
        if let Err(error) = self.validator.validate(&json!([item])) {
            panic!("the schema refuses what is sent: {error} in {item}");
        }
        let place = place_of(definition);
        let described: Vec<&String> = fields(&self.schema["$defs"][definition]["properties"]).keys().collect();
        assert_eq!(
            fields(item.pointer(place).expect("the item has it")).keys().collect::<Vec<_>>(),
            described,
            "fields of {definition}"
        );
        for field in described {
            let mut without = item.clone();
            fields_mut(without.pointer_mut(place).expect("the item has it")).remove(field);
            assert_eq!(self.accepts(&without), (self.is_read)(&without), "{definition} without `{field}`: {without}");
        }
    }
}

/// Where in an item the fields of a definition are.
fn place_of(definition: &str) -> &'static str {
    match definition {
        "key" => "/key",
        "done" | "refused" | "pending" | "failed" => "/outcome",
        _ => "",
    }
}

fn fields(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

fn fields_mut(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("an object")
}

fn key(direction: Direction) -> StepKey {
    StepKey {
        saga_id: Uuid::from_u128(0x0198_f0c2_a3b4_7c5d_8e9f_0a1b_2c3d_4e5f),
        step: "award_points".to_owned(),
        direction,
    }
}

#[test]
fn commands_are_as_their_schema_says() {
    let envelope = Envelope::of::<Command>(COMMAND);
    let action = Command {
        key: key(Direction::Do),
        attempt: 1,
        deadline: Some(datetime!(2026-11-24 12:00:10.123456789 UTC)),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        reply_to: makegood_contracts::subject::reply(0),
        payload: serde_json::value::to_raw_value(&json!({"customer": "ann@example.com"})).expect("encodes"),
    };
    envelope.agrees_on("command", &action);
    envelope.agrees_on("key", &action);
    let undo = Command { key: key(Direction::Undo), deadline: None, traceparent: None, ..action };
    assert!(envelope.accepts(&serde_json::to_value(&undo).expect("encodes")));
}

#[test]
fn replies_are_as_their_schema_says() {
    let envelope = Envelope::of::<Reply>(REPLY);
    for (definition, outcome) in [
        ("done", Outcome::Done { output: json!({"points": 12}) }),
        ("done", Outcome::done()),
        ("refused", Outcome::refused("account_closed", "the customer has left")),
        (
            "pending",
            Outcome::Pending { reason: "requires_action".to_owned(), detail: json!({"url": "https://x.test"}) },
        ),
        ("failed", Outcome::retry("the database is away")),
        ("failed", Outcome::defect("no such customer")),
    ] {
        let reply = Reply { key: key(Direction::Do), attempt: 1, outcome };
        envelope.agrees_on("reply", &reply);
        envelope.agrees_on("key", &reply);
        envelope.agrees_on(definition, &reply);
    }
    let later = Reply { key: key(Direction::Do), attempt: 0, outcome: Outcome::done() };
    assert!(envelope.accepts(&serde_json::to_value(&later).expect("encodes")));
}

#[test]
fn starts_are_as_their_schema_says() {
    let envelope = Envelope::of::<StartSaga>(START_SAGA);
    let start = StartSaga {
        saga_id: key(Direction::Do).saga_id,
        definition: "welcome-gift".to_owned(),
        reference: "ann-2026".to_owned(),
        customer: Some("ann@example.com".to_owned()),
        input: json!({"customer": "ann@example.com"}),
        signals: Map::new(),
        traceparent: None,
    };
    envelope.agrees_on("start", &start);
}

#[test]
fn neither_takes_what_the_other_refuses() {
    let command = json!({"key": key(Direction::Do), "attempt": 1, "reply_to": "reply.0", "payload": {}});
    let reply = json!({"key": key(Direction::Do), "attempt": 1, "outcome": {"status": "done"}});
    for (envelope, item, pointer, wrong) in [
        (Envelope::of::<Command>(COMMAND), &command, "/key/saga_id", json!("no uuid")),
        (Envelope::of::<Command>(COMMAND), &command, "/key/direction", json!("redo")),
        (Envelope::of::<Command>(COMMAND), &command, "/attempt", json!(-1)),
        (Envelope::of::<Command>(COMMAND), &command, "/attempt", json!(4_294_967_296_u64)),
        (Envelope::of::<Command>(COMMAND), &command, "/attempt", json!("1")),
        (Envelope::of::<Reply>(REPLY), &reply, "/key/direction", json!("Do")),
        (Envelope::of::<Reply>(REPLY), &reply, "/outcome/status", json!("ok")),
        (Envelope::of::<Reply>(REPLY), &reply, "/outcome", json!("done")),
    ] {
        assert!(envelope.accepts(item) && (envelope.is_read)(item), "{item}");
        let mut item = item.clone();
        *item.pointer_mut(pointer).expect("the place is there") = wrong;
        assert!(!envelope.accepts(&item) && !(envelope.is_read)(&item), "{item}");
    }
}
