//! One place in a saga's context: JSONPath (RFC 9535) that begins with a root, which is `input` or a step.

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

/// Longer than any path that somebody reads aloud.
const MAX_CHARACTERS: usize = 1_000;
/// Each selector in brackets finds its places once more, and the next brackets find theirs in each of them: so many in all, multiplied.
const MAX_SELECTORS: usize = 16;
/// Filters within filters and parentheses; the parser's time doubles with each.
const MAX_DEPTH: usize = 8;

#[derive(Debug, Clone)]
pub(super) struct ContextPath {
    /// As it was written.
    text: String,
    /// What is queried within the root's value.
    path: JsonPath,
    /// Whether it names one place (RFC 9535, 2.3.5.1: names and indices only); otherwise what it finds is a list, also when that is one
    /// or none.
    is_singular: bool,
    /// The context entry that it reads: `input` or a step's name.
    root: String,
    /// A filter in it names a root, which is the value of its own root, and not the context that it looks like.
    has_two_roots: bool,
    /// It may find the same place again and again: from 250 kB of context that is more than fits into memory.
    multiplies: bool,
}

/// However it was written.
impl PartialEq for ContextPath {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root && self.path == other.path
    }
}

impl ContextPath {
    /// Splits `$.root.rest` so that the rest is queried within the root's value, without copying the whole context.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MAX_CHARACTERS {
            return Err(format!("a path has {MAX_CHARACTERS} characters at most"));
        }
        let outline = Outline::of(text)?;
        JsonPath::parse(text).map_err(|error| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            match text.strip_prefix("$.").and_then(|rest| rest.trim_start_matches(is_plain).chars().next()) {
                Some('-') => format!("`{text}`: a name with a `-` stands in quotes, as in `$['a-b']`"),
                _ => format!("`{text}` is no JSONPath: {error}"),
            }
        })?;
        let (root, tail) = split(text)?;
        let path = JsonPath::parse(&format!("${tail}")).map_err(|error| format!("`{text}` is no JSONPath: {error}"))?;
        Ok(Self {
            text: text.to_owned(),
            path,
            is_singular: is_singular(tail),
            root: root.to_owned(),
            has_two_roots: outline.roots > 1,
            multiplies: outline.descents > 1 || outline.selectors > MAX_SELECTORS,
        })
    }

    /// What speaks against writing it, though it can be read.
    pub(super) fn objection(&self) -> Option<String> {
        if self.has_two_roots {
            return Some(format!(
                "`{self}`: a filter reads the element at hand, `@`; comparing it with another part of the context (`$`) is not possible"
            ));
        }
        self.multiplies.then(|| {
            format!(
                "`{self}` may find the same place again and again: a path has one `..` at most, and up to {MAX_SELECTORS} selectors in its brackets, multiplied"
            )
        })
    }

    /// Whether it names one place, where there is one value or none.
    pub(super) const fn is_singular(&self) -> bool {
        self.is_singular
    }

    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The value there. None when the root is absent or the one place named is.
    pub(super) fn find(&self, context: &Map<String, Value>) -> Option<Value> {
        let value = context.get(&self.root)?;
        let found = self.path.query(value);
        if self.is_singular {
            found.first().cloned()
        } else {
            Some(Value::Array(found.iter().map(|value| (*value).clone()).collect()))
        }
    }
}

impl std::fmt::Display for ContextPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The root, `$.name` or `$['name']`, and what follows it.
fn split(text: &str) -> Result<(&str, &str), String> {
    let rest = text.strip_prefix('$').ok_or_else(|| format!("`{text}` must begin with `$.` and a name"))?;
    let (root, tail) = if let Some(rest) = rest.strip_prefix('.') {
        rest.split_at(rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len()))
    } else {
        quoted_name(rest).ok_or_else(|| format!("`{text}` must begin with `$.` and a name"))?
    };
    if root.is_empty() {
        return Err(format!("`{text}` must name `input` or a step first"));
    }
    Ok((root, tail))
}

/// Of `['name']…` or `["name"]…`, without escapes: the name and what follows.
fn quoted_name(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('[')?.trim_start_matches(' ');
    let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (name, tail) = inner[1..].split_once(quote)?;
    let tail = tail.trim_start_matches(' ').strip_prefix(']')?;
    (!name.contains('\\')).then_some((name, tail))
}

/// What of a path decides how long it takes, outside of quotes.
struct Outline {
    /// `$`
    roots: usize,
    /// `..`
    descents: usize,
    /// The product of the selectors in each pair of brackets.
    selectors: usize,
}

impl Outline {
    /// What the parser cannot be trusted with is refused.
    fn of(text: &str) -> Result<Self, String> {
        let mut outline = Self { roots: 0, descents: 0, selectors: 1 };
        // Of each pair of brackets that is open: how many selectors it has, if it is one of selectors.
        let mut open_pairs: Vec<Option<usize>> = Vec::new();
        let mut quote = None;
        let mut is_escaped = false;
        let mut before = ' ';
        for c in text.chars() {
            if let Some(open) = quote {
                if c == open && !is_escaped {
                    quote = None;
                }
                is_escaped = c == '\\' && !is_escaped;
                continue;
            }
            match c {
                '\'' | '"' => quote = Some(c),
                '$' => outline.roots += 1,
                '.' if before == '.' => outline.descents += 1,
                ',' => {
                    if let Some(Some(selectors)) = open_pairs.last_mut() {
                        *selectors += 1;
                    }
                }
                '[' => open_pairs.push(Some(1)),
                '(' => open_pairs.push(None),
                ']' | ')' => {
                    let selectors = open_pairs.pop().flatten().unwrap_or(1);
                    outline.selectors = outline.selectors.saturating_mul(selectors);
                }
                _ => {}
            }
            before = c;
            if open_pairs.len() > MAX_DEPTH {
                return Err(format!("a path has {MAX_DEPTH} brackets within one another at most"));
            }
        }
        Ok(outline)
    }
}

/// Whether all that follows the root is names and indices. It is well-formed.
fn is_singular(mut tail: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || !c.is_ascii();
    loop {
        tail = tail.trim_start();
        if tail.is_empty() {
            return true;
        }
        if let Some(rest) = tail.strip_prefix('.') {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            if end == 0 {
                return false;
            }
            tail = &rest[end..];
        } else if let Some(rest) = tail.strip_prefix('[') {
            let Some(rest) = after_name_or_index(rest.trim_start()) else { return false };
            let Some(rest) = rest.trim_start().strip_prefix(']') else { return false };
            tail = rest;
        } else {
            return false;
        }
    }
}

fn after_name_or_index(text: &str) -> Option<&str> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(text.len());
        return (end > 0).then(|| &text[end..]);
    };
    let mut is_escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return Some(&text[place + 1..]);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn find(path: &str) -> Option<Value> {
        let Value::Object(context) = json!({
            "input": {"a": 1, "b": null, "dc:title": "T", "*": {"a,b": 2}, "it's": 3, "größe": 4},
            "price": {"lines": [{"sku": "x"}]},
            "take-paper": {"paper": "stars"},
        }) else {
            unreachable!("it is an object")
        };
        ContextPath::parse(path).expect("a path").find(&context)
    }

    #[test]
    fn a_singular_path_gives_the_value_and_a_missing_one_nothing() {
        assert_eq!(find("$.input.a"), Some(json!(1)));
        assert_eq!(find("$.input.b"), Some(json!(null)));
        assert_eq!(find("$.input.c"), None);
        assert_eq!(find("$.later.c"), None);
        assert_eq!(find("$.price"), Some(json!({"lines": [{"sku": "x"}]})));
    }

    #[test]
    fn a_path_for_many_gives_a_list_of_whatever_it_finds() {
        assert_eq!(find("$.price.lines[*].sku"), Some(json!(["x"])));
        assert_eq!(find("$.price.lines[*].none"), Some(json!([])));
    }

    #[test]
    fn a_name_in_quotes_is_one_place_whatever_is_in_it() {
        for (path, value) in [
            ("$.input['dc:title']", json!("T")),
            ("$.input[\"*\"]['a,b']", json!(2)),
            (r"$.input['it\'s']", json!(3)),
            ("$.input.größe", json!(4)),
            ("$.price.lines[0].sku", json!("x")),
            ("$.price.lines[-1]['sku']", json!("x")),
            ("$['take-paper'].paper", json!("stars")),
            ("$[\"price\"].lines[0]", json!({"sku": "x"})),
        ] {
            assert_eq!(find(path), Some(value), "{path}");
        }
        assert_eq!(find("$.input['gone:x']"), None);
        for path in ["$.price.lines[0,1]", "$.price.lines[0:1]", "$.price..sku", "$.price.lines[?@.sku == 'x']"] {
            assert!(!ContextPath::parse(path).expect("a path").is_singular(), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["input.a", "$", "$.", "$[0]", "$.input.", "$.input[", "", "$.take-paper.paper", "$['a'", "$[*]"] {
            assert!(ContextPath::parse(text).is_err(), "{text}");
        }
    }

    /// Within a filter `$` would be the root's value, and not the context that it looks like.
    #[test]
    fn a_second_root_is_refused_and_a_dollar_in_quotes_is_none() {
        let objection = |text: &str| ContextPath::parse(text).expect("a path").objection();
        assert!(objection("$.price.lines[?@.sku == $.input.watched]").is_some_and(|told| told.contains("`@`")));
        for text in ["$.price.lines[?@.sku == '$5']", r"$.input['it\'s $5']", r#"$.input["a\"$\\"].b"#] {
            assert_eq!(objection(text), None, "{text}");
        }
        assert!(objection(r"$.price['it\'s'].lines[?@.sku == $.input.sku]").is_some());
    }

    #[test]
    fn a_path_that_finds_the_same_again_and_again_is_refused() {
        let objection = |text: &str| ContextPath::parse(text).expect("a path").objection();
        for text in ["$.input..*..*", "$.input[?@..a]..b", &format!("$.input..a{}", "[*,*]".repeat(5))] {
            assert!(objection(text).is_some_and(|told| told.contains("again and again")), "{text}");
        }
        for text in
            ["$.price..sku", "$.input['..']['a,b']", "$.price.lines[0,1,2]['sku','n']", "$.input[?match(@.a, 'b')]"]
        {
            assert_eq!(objection(text), None, "{text}");
        }
    }

    #[test]
    fn two_spellings_of_a_root_are_one_path() {
        let path = |text| ContextPath::parse(text).expect("a path");
        assert!(path("$['input'].a") == path("$.input.a"));
        assert!(path("$.input.a") != path("$.input.b") && path("$.price.a") != path("$.input.a"));
    }

    #[test]
    fn a_path_that_would_take_the_parser_for_ever_is_refused_at_once() {
        for text in [
            format!("$.input{}{}", "[?@".repeat(24), "]".repeat(24)),
            format!("$.input[?{}@.a{}]", "(".repeat(5_000), ")".repeat(5_000)),
            format!("$.input{}", ".a".repeat(5_000)),
        ] {
            assert!(ContextPath::parse(&text).expect_err("too much").contains("at most"));
        }
    }
}
