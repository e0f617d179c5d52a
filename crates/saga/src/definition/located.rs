//! YAML as a tree that knows its places, so that everything wrong with a file can be told at once, each with its line.

use std::{borrow::Cow, collections::HashSet};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Localizer, Location, Spanned, UserMessageFormatter};

use super::problem::{Place, Problem};

/// Something and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

pub(super) type Located = At<Node>;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Located>),
    Map(Vec<(At<String>, Located)>),
}

impl<T> At<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { place: self.place, value: change(self.value) }
    }

    fn of(spanned: Spanned<T>) -> Self {
        let place = Place { line: spanned.referenced.line(), column: spanned.referenced.column() };
        Self { place, value: spanned.value }
    }
}

/// Reads a file's one document. What is no YAML at all is one problem, since nothing after it can be read.
pub(super) fn parse(yaml: &str) -> Result<Located, Problem> {
    // A key that stands twice is told by whoever reads the map, with its place and beside other mistakes.
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough, strict_booleans: true };
    serde_saphyr::from_str_with_options::<Spanned<Node>>(yaml, options).map(At::of).map_err(|error| {
        let place = error.location().map_or(Place { line: 1, column: 1 }, |location| Place {
            line: location.line(),
            column: location.column(),
        });
        let why =
            error.without_snippet().render_with_formatter(&UserMessageFormatter.with_localizer(&PlaceToldAlready));
        Problem { place, step: None, problem: format!("it cannot be read as YAML: {why}") }
    })
}

/// A problem begins with its place, so what the parser says of it does not end with it too.
struct PlaceToldAlready;

impl Localizer for PlaceToldAlready {
    fn attach_location<'a>(&self, base: Cow<'a, str>, _: Location) -> Cow<'a, str> {
        base
    }
}

impl Located {
    /// As JSON, without places. Of keys that stand twice the first counts.
    pub(super) fn to_json(&self) -> Value {
        match &self.value {
            Node::Null => Value::Null,
            Node::Bool(is) => Value::Bool(*is),
            Node::Number(number) => Value::Number(number.clone()),
            Node::Text(text) => Value::String(text.clone()),
            Node::List(items) => items.iter().map(Self::to_json).collect(),
            Node::Map(entries) => {
                let mut fields = Map::new();
                for (key, value) in entries {
                    fields.entry(key.value.clone()).or_insert_with(|| value.to_json());
                }
                Value::Object(fields)
            }
        }
    }

    /// Keys of maps anywhere in it that stand there a second time.
    pub(super) fn repeated_keys(&self) -> Vec<&At<String>> {
        match &self.value {
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => Vec::new(),
            Node::List(items) => items.iter().flat_map(Self::repeated_keys).collect(),
            Node::Map(entries) => {
                let mut seen = HashSet::new();
                let keys = entries.iter().map(|(key, _)| key);
                let mut repeated: Vec<_> = keys.filter(|key| !seen.insert(key.value.as_str())).collect();
                repeated.extend(entries.iter().flat_map(|(_, value)| value.repeated_keys()));
                repeated
            }
        }
    }

    /// What it is, for people.
    pub(super) fn kind(&self) -> String {
        match &self.value {
            Node::Null => "nothing".to_owned(),
            Node::Bool(_) => "true or false".to_owned(),
            Node::Number(number) => format!("the number {number}"),
            Node::Text(_) => "text".to_owned(),
            Node::List(items) if items.is_empty() => "an empty list".to_owned(),
            Node::List(_) => "a list".to_owned(),
            Node::Map(_) => "a map of fields".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("YAML that JSON can say too")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Node, E> {
        Ok(Node::Bool(is))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        Number::from_f64(number).map(Node::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Node>>()? {
            list.push(At::of(item));
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Node>>()? {
            map.push((At::of(key), At::of(value)));
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tree_knows_its_places() {
        let yaml = "a: 1\nb:\n  - x\n  - { c: true, d: null }\n";
        let tree = parse(yaml).expect("it is YAML");
        assert_eq!(tree.to_json(), json!({"a": 1, "b": ["x", {"c": true, "d": null}]}));
        let Node::Map(entries) = &tree.value else { panic!("it is a map") };
        let (key, list) = &entries[1];
        assert_eq!((key.place.line, key.place.column), (2, 1));
        let Node::List(items) = &list.value else { panic!("it is a list") };
        assert_eq!((items[0].place.line, items[0].place.column), (3, 5));
        let Node::Map(inner) = &items[1].value else { panic!("it is a map") };
        assert_eq!((inner[0].0.place.line, inner[0].0.place.column), (4, 7));
        assert_eq!((inner[1].1.place.line, inner[1].1.place.column), (4, 19));
    }

    #[test]
    fn words_stay_words() {
        let tree = parse("{ on: yes, off: 15m, n: '1', t: true }").expect("it is YAML");
        assert_eq!(tree.to_json(), json!({"on": "yes", "off": "15m", "n": "1", "t": true}));
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        let problem = parse("a: 1\nb: [1, 2\nc: 3\n").expect_err("a bracket is missing");
        assert!(problem.place.line >= 2, "{problem}");
        let problem = parse("a: 1\n---\nb: 2\n").expect_err("two documents").to_string();
        assert!(problem.ends_with("only single YAML document expected but multiple found"), "{problem}");
    }
}
